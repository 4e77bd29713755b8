//! What is done to the shop, and when: made from the seed before anything starts, so that a run can be had again.

use std::fmt;
use std::time::Duration;

use eshopz_testkit::load::Dice;

/// Processes of the shop.
pub const PROCESSES: usize = 3;
/// So long it is left alone at first, and again at the end.
const CALM: u64 = 2_000;

/// What can break, and does so one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Process(usize),
    Postgres,
    Redis,
}

/// How it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// `kill -9`, of a PostgreSQL with all its processes; started again after a while.
    Kill,
    /// SIGTERM, and started again: a process as in a rolling update, PostgreSQL as an operator restarts it.
    Restart,
    /// SIGSTOP, and SIGCONT after a while.
    Freeze,
    /// PostgreSQL's `immediate` shutdown, without a last checkpoint.
    Quit,
    /// `pg_terminate_backend` of every connection.
    Disconnect,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Since the load began.
    pub at: Duration,
    pub target: Target,
    pub means: Means,
    /// How long it stays down or frozen.
    pub lasts: Duration,
}

impl Fault {
    /// Its kind, as the report counts it.
    pub fn kind(&self) -> String {
        match self.target {
            Target::Process(_) => format!("process {}", self.means),
            Target::Postgres => format!("postgres {}", self.means),
            Target::Redis => format!("redis {}", self.means),
        }
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9",
            Self::Restart => "restart",
            Self::Freeze => "freeze",
            Self::Quit => "stop immediate",
            Self::Disconnect => "terminate backends",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.target {
            Target::Process(index) => format!("process {}", index + 1),
            Target::Postgres => "postgres".to_owned(),
            Target::Redis => "redis".to_owned(),
        };
        write!(f, "{:8.1} s  {target} {}", self.at.as_secs_f64(), self.means)?;
        if self.lasts.is_zero() { Ok(()) } else { write!(f, " for {:.1} s", self.lasts.as_secs_f64()) }
    }
}

/// The faults of a run, in order. Those of one target never overlap.
pub fn schedule(seed: u64, length: Duration) -> Vec<Fault> {
    let mut dice = Dice::new(seed ^ 0xFA17);
    let end = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).saturating_sub(CALM);
    let mut faults = Vec::new();
    let mut at = CALM;
    loop {
        let first = draw(&mut dice, at);
        let over = at + millis(first.lasts);
        if over >= end {
            return faults;
        }
        faults.push(first);
        // One in four comes while something else is broken already.
        let soon = at + between(&mut dice, 0, 1_500);
        let second = draw(&mut dice, soon);
        let joins = dice.below(4) == 0 && second.target != first.target && millis(second.at + second.lasts) < end;
        let over = if joins { over.max(millis(second.at + second.lasts)) } else { over };
        if joins {
            faults.push(second);
        }
        at = over + between(&mut dice, 1_500, 7_000);
    }
}

fn draw(dice: &mut Dice, at: u64) -> Fault {
    let target = match dice.below(20) {
        0..11 => Target::Process(dice.below(PROCESSES)),
        11..16 => Target::Postgres,
        _ => Target::Redis,
    };
    let means = match (target, dice.below(6)) {
        (Target::Process(_), 0..3) | (Target::Postgres, 0..2) | (Target::Redis, 0..2) => Means::Kill,
        (Target::Process(_), 3) | (Target::Postgres, 2) | (Target::Redis, 2..4) => Means::Restart,
        (Target::Postgres, 3) => Means::Quit,
        (Target::Postgres, _) => Means::Disconnect,
        _ => Means::Freeze,
    };
    let lasts = match means {
        Means::Kill | Means::Quit => between(dice, 200, 3_000),
        Means::Freeze => between(dice, 500, 6_000),
        Means::Restart | Means::Disconnect => 0,
    };
    Fault { at: Duration::from_millis(at), target, means, lasts: Duration::from_millis(lasts) }
}

fn between(dice: &mut Dice, from: u64, to: u64) -> u64 {
    let span = usize::try_from(to - from).unwrap_or(usize::MAX);
    from + u64::try_from(dice.below(span)).unwrap_or(0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: Duration = Duration::from_secs(600);

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(schedule(7, TEN_MINUTES), schedule(7, TEN_MINUTES));
        assert_ne!(schedule(7, TEN_MINUTES), schedule(8, TEN_MINUTES));
    }

    #[test]
    fn everything_breaks_within_an_hour_and_nothing_after_the_end() {
        let hour = Duration::from_secs(3_600);
        let faults = schedule(1, hour);
        let mut kinds: Vec<String> = faults.iter().map(Fault::kind).collect();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), 10, "{kinds:?}");
        assert!(faults.iter().all(|fault| fault.at + fault.lasts < hour));
        let together = faults.windows(2).filter(|pair| pair[1].at < pair[0].at + pair[0].lasts).count();
        assert!(together > 10, "{together}");
    }

    #[test]
    fn half_a_minute_has_faults_whatever_the_seed() {
        for seed in 0..200 {
            assert!(schedule(seed, Duration::from_secs(30)).len() > 1, "{seed}");
        }
    }
}
