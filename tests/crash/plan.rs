//! Which points are tried, in which scenario. All of them when asked to; else some that chance picks, so that
//! every function is among them.

use std::collections::{BTreeMap, BTreeSet};

use eshopz_testkit::load::Dice;
use regex::Regex;

use super::scenarios::{ALL, Scenario};

/// What `scripts/crash` says.
pub struct Wish {
    pub points: Regex,
    pub seed: u64,
    pub sample: Sample,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    All,
    /// Each point once.
    Points,
    /// A point of each function.
    Functions,
    /// So many points.
    Some(usize),
}

/// A passing of a point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub point: String,
    /// The first is 1.
    pub passing: usize,
}

/// One death, or two: the second while what the first has left is taken up.
#[derive(Clone)]
pub struct Trial {
    pub scenario: &'static Scenario,
    pub targets: Vec<Target>,
}

impl Trial {
    /// The point of its last death.
    pub fn point(&self) -> &str {
        self.targets.last().map_or("", |target| target.point.as_str())
    }
}

/// What each scenario passes, by the scenario's name: points, and how often.
pub type Traces = BTreeMap<&'static str, BTreeMap<String, usize>>;

impl Wish {
    /// From the environment, with a seed by chance if there is none.
    pub fn read() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let seed = variable("CRASH_SEED").map_or_else(by_chance, |seed| seed.parse().expect("CRASH_SEED is a number"));
        let sample = match variable("CRASH_SAMPLE").as_deref() {
            None | Some("function") => Sample::Functions,
            Some("point") => Sample::Points,
            Some("all") => Sample::All,
            Some(number) => {
                Sample::Some(number.parse().expect("CRASH_SAMPLE is `all`, `point`, `function` or a number"))
            }
        };
        let points = Regex::new(&variable("CRASH_POINTS").unwrap_or_default()).expect("CRASH_POINTS is an expression");
        Self { points, seed, sample }
    }

    /// The deaths to die, those of one kind of shop together.
    pub fn trials(&self, traces: &Traces) -> Vec<Trial> {
        let mut dice = Dice::new(self.seed);
        let mut trials: Vec<Trial> = ALL.iter().flat_map(|scenario| self.of(scenario, traces, &mut dice)).collect();
        shuffle(&mut trials, &mut dice);
        self.pick(trials, |_| false)
    }

    /// The second deaths, at points that were passed only after a first one.
    pub fn second_trials(&self, traces: &Traces, recoveries: &[(Trial, BTreeSet<String>)]) -> Vec<Trial> {
        let passed: BTreeSet<&String> = traces.values().flat_map(BTreeMap::keys).collect();
        let second = |(first, points): &(Trial, BTreeSet<String>)| -> Vec<Trial> {
            let new = points
                .iter()
                .filter(|point| !passed.contains(point) && self.points.is_match(&shown(first.scenario, point)));
            let after = |point: &String| {
                let second = Target { point: point.clone(), passing: 1 };
                Trial { scenario: first.scenario, targets: [first.targets.clone(), vec![second]].concat() }
            };
            new.map(after).collect()
        };
        let mut trials: Vec<Trial> = recoveries.iter().flat_map(second).collect();
        shuffle(&mut trials, &mut Dice::new(self.seed));
        // Nearly every first death leads to the same few.
        once_each(&mut trials, |point| point);
        let functions: BTreeSet<&str> = passed.iter().map(|point| function_of(point)).collect();
        self.pick(trials, |function| functions.contains(function))
    }

    /// What is wanted of these, those of one kind of shop together.
    fn pick(&self, mut trials: Vec<Trial>, is_tried: impl Fn(&str) -> bool) -> Vec<Trial> {
        match self.sample {
            Sample::All => {}
            Sample::Some(number) => trials.truncate(number),
            Sample::Points => once_each(&mut trials, |point| point),
            Sample::Functions => {
                trials.retain(|trial| !is_tried(function_of(trial.point())));
                once_each(&mut trials, function_of);
            }
        }
        trials.sort_by_key(|trial| trial.scenario.capture);
        trials
    }

    /// The first passing of each point, and by chance one of the later ones.
    fn of(&self, scenario: &'static Scenario, traces: &Traces, dice: &mut Dice) -> Vec<Trial> {
        let passed = traces[scenario.name].iter().filter(|(point, _)| self.points.is_match(&shown(scenario, point)));
        let trials = passed.flat_map(|(point, times)| {
            let later = (*times > 1).then(|| 2 + dice.below(times - 1));
            let target = |passing| Target { point: point.clone(), passing };
            [Some(1), later].into_iter().flatten().map(target).collect::<Vec<_>>()
        });
        trials.map(|target| Trial { scenario, targets: vec![target] }).collect()
    }
}

/// What an expression is tried on.
fn shown(scenario: &Scenario, point: &str) -> String {
    format!("{} {}", scenario.name, short(point))
}

/// A point as it is shown.
pub fn short(point: &str) -> &str {
    point.trim_start_matches("eshopz_")
}

/// The function that a point is in.
pub fn function_of(point: &str) -> &str {
    point.split('#').next().unwrap()
}

/// Keeps the first trial of each kind.
fn once_each(trials: &mut Vec<Trial>, kind: fn(&str) -> &str) {
    let mut seen = BTreeSet::new();
    trials.retain(|trial| seen.insert(kind(trial.point()).to_owned()));
}

fn by_chance() -> u64 {
    u64::from(std::process::id()) ^ u64::from(chrono::Utc::now().timestamp_subsec_micros())
}

fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for index in (1..items.len()).rev() {
        items.swap(index, dice.below(index + 1));
    }
}

#[test]
fn a_sample_has_every_function_and_a_seed_repeats_it() {
    let points = |of: &[(&str, usize)]| of.iter().map(|(point, times)| ((*point).to_owned(), *times)).collect();
    let traces: Traces = ALL
        .iter()
        .map(|scenario| {
            (scenario.name, points(&[("eshopz_a::f#1:x", 1), ("eshopz_a::f#2:y", 3), ("eshopz_b::g#1:z", 1)]))
        })
        .collect();
    let wish = |sample, points: &str| Wish { points: Regex::new(points).unwrap(), seed: 7, sample };
    let told = |wish: Wish| -> Vec<(&str, Vec<Target>)> {
        wish.trials(&traces).into_iter().map(|trial| (trial.scenario.name, trial.targets)).collect()
    };
    assert_eq!(told(wish(Sample::All, "")).len(), 4 * ALL.len());
    assert_eq!(told(wish(Sample::All, "^checkout a::f#2")).len(), 2);
    assert_eq!(told(wish(Sample::Points, "")).len(), 3);
    assert_eq!(told(wish(Sample::Functions, "")).len(), 2);
    assert_eq!(told(wish(Sample::Functions, "")), told(wish(Sample::Functions, "")));
    assert_eq!(told(wish(Sample::Some(5), "")).len(), 5);
    let first = wish(Sample::All, "").trials(&traces).remove(0);
    let passed = ["eshopz_a::f#1:x", "eshopz_a::f#3:new", "eshopz_c::h#1:new"].map(str::to_owned);
    let recoveries = [(first, BTreeSet::from(passed))];
    let second = |sample| wish(sample, "").second_trials(&traces, &recoveries).len();
    assert_eq!((second(Sample::All), second(Sample::Points), second(Sample::Functions)), (2, 2, 1));
}
