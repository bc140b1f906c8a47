//! W3C Trace Context: the trace that an event belongs to, as its extensions `traceparent` and `tracestate`.
//!
//! Only words are read here; no trace is ever begun. What does not follow the recommendation counts as absent, as it
//! says itself.

use super::{Extensions, NewEvent};

/// The extension, and the header, of the trace and the span that an event comes from.
const PARENT: &str = "traceparent";

/// The extension, and the header, of what the tracing systems on the way have noted.
const STATE: &str = "tracestate";

/// The longest `tracestate` that is handed on, in bytes: so much everybody has to. What goes beyond is left out from
/// the end, which is the oldest.
const MAX_STATE_BYTES: usize = 512;

/// The most members of a `tracestate`.
const MAX_STATE_MEMBERS: usize = 32;

/// A place in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// `traceparent`, of version 00.
    pub parent: String,
    /// `tracestate`, if there is one.
    pub state: Option<String>,
}

impl TraceContext {
    /// The place that a request names in its headers: all values of `traceparent` and of `tracestate`.
    #[must_use]
    pub fn of_headers<'h>(
        parents: impl IntoIterator<Item = &'h [u8]>,
        states: impl IntoIterator<Item = &'h [u8]>,
    ) -> Option<Self> {
        let mut parents = parents.into_iter();
        // A second one could be anybody's: none of them counts.
        let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
        let parent = parse_parent(std::str::from_utf8(parent).ok()?)?;
        let states: Result<Vec<&str>, _> = states.into_iter().map(std::str::from_utf8).collect();
        Some(Self { parent, state: states.ok().and_then(|states| parse_state(&states.join(","))) })
    }

    /// The place that an event names itself.
    #[must_use]
    pub fn of_event(extensions: &Extensions) -> Option<Self> {
        let text = |name: &str| extensions.get(name).and_then(|value| value.as_str());
        Some(Self { parent: parse_parent(text(PARENT)?)?, state: text(STATE).and_then(parse_state) })
    }

    /// Gives this place to an event that has none. What a sender has written is never changed.
    pub fn join(&self, event: &mut NewEvent) {
        if event.extensions.contains_key(PARENT) {
            return;
        }
        event.extensions.insert(PARENT.to_owned(), self.parent.clone().into());
        if let Some(state) = &self.state {
            event.extensions.entry(STATE.to_owned()).or_insert_with(|| state.clone().into());
        }
    }

    /// The headers that tell it to others.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [(PARENT, Some(self.parent.as_str())), (STATE, self.state.as_deref())]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// `00-<trace id>-<parent id>-<flags>`. A later version begins with the same fields; of its flags, only the one for
/// "sampled" is known.
fn parse_parent(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\t']);
    let (fields, more) = (text.get(..55)?, text.get(55..)?);
    let [version, trace, parent, flags] = fields.split('-').collect::<Vec<_>>().try_into().ok()?;
    let hex = |field: &str, length| field.len() == length && field.bytes().all(is_lower_hex);
    let some = |field: &str| field.bytes().any(|byte| byte != b'0');
    let well_formed =
        hex(version, 2) && hex(trace, 32) && some(trace) && hex(parent, 16) && some(parent) && hex(flags, 2);
    match version {
        _ if !well_formed => None,
        "00" => more.is_empty().then(|| fields.to_owned()),
        "ff" => None,
        _ if more.is_empty() || more.starts_with('-') => {
            let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
            Some(format!("00-{trace}-{parent}-0{sampled}"))
        }
        _ => None,
    }
}

/// A list of `key=value`, without its empty members. One that is wrong makes all of it worthless.
fn parse_state(text: &str) -> Option<String> {
    let members: Vec<&str> =
        text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()).collect();
    if members.is_empty() || members.len() > MAX_STATE_MEMBERS || !members.iter().all(|member| is_member(member)) {
        return None;
    }
    let mut state = String::new();
    for member in members {
        let comma = if state.is_empty() { "" } else { "," };
        if state.len() + comma.len() + member.len() > MAX_STATE_BYTES {
            break;
        }
        state.push_str(comma);
        state.push_str(member);
    }
    (!state.is_empty()).then_some(state)
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let begins = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let in_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let in_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    begins
        && key.len() <= 256
        && key.bytes().all(in_key)
        && (1..=256).contains(&value.len())
        && value.bytes().all(in_value)
}

const fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Payload;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn context(parent: &str, state: Option<&str>) -> TraceContext {
        TraceContext { parent: parent.to_owned(), state: state.map(str::to_owned) }
    }

    fn of(parents: &[&str], states: &[&str]) -> Option<TraceContext> {
        TraceContext::of_headers(parents.iter().map(|text| text.as_bytes()), states.iter().map(|text| text.as_bytes()))
    }

    #[test]
    fn a_good_parent_is_kept_as_it_is() {
        for flags in ["00", "01", "ff"] {
            let parent = format!("{}{flags}", &GOOD[..53]);
            assert_eq!(of(&[&parent], &[]), Some(context(&parent, None)));
        }
        assert_eq!(of(&[&format!(" {GOOD}\t")], &[]), Some(context(GOOD, None)));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for later in ["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", &format!("01{}-what-ever", &GOOD[2..])]
        {
            assert_eq!(parse_parent(later).as_deref(), Some(GOOD), "{later}");
        }
    }

    #[test]
    fn what_is_no_parent_counts_as_absent() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        let longer = format!("{GOOD}-01");
        let later = format!("01{}x", &GOOD[2..]);
        for wrong in [
            "",
            "00",
            &GOOD[..54],
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            &GOOD.replacen("4b", "4g", 1),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replacen("4bf9", "é9", 1),
            &zero_trace,
            &zero_parent,
            &longer,
            &later,
        ] {
            assert_eq!(of(&[wrong], &["a=b"]), None, "{wrong}");
        }
        assert_eq!(TraceContext::of_headers([&b"\xff"[..]], []), None);
        assert_eq!((of(&[], &["a=b"]), of(&[GOOD, GOOD], &[])), (None, None));
    }

    #[test]
    fn the_states_of_several_headers_are_one() {
        let state = of(&[GOOD], &["congo=t61rcWkgMzE , ", "rojo=00f067aa0ba902b7,1a-2@b_c=d e"]).unwrap().state;
        assert_eq!(state.as_deref(), Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,1a-2@b_c=d e"));
    }

    #[test]
    fn a_wrong_state_is_left_out_and_costs_the_parent_nothing() {
        let many = vec!["a=1"; 33].join(",");
        for wrong in ["", " , ,", "a", "=1", "a=", "A=1", "-a=1", "a=1,b", "a=1=2", "a=é", "a=\u{1}", &many] {
            assert_eq!(of(&[GOOD], &[wrong]), Some(context(GOOD, None)), "{wrong}");
        }
        let no_text = TraceContext::of_headers([GOOD.as_bytes()], [&b"a=\xff"[..]]);
        assert_eq!(no_text, Some(context(GOOD, None)));
    }

    #[test]
    fn a_long_state_loses_its_oldest_members() {
        let member = |key: char| format!("{key}={}", "x".repeat(248));
        let state = ['a', 'b', 'c'].map(member).join(",");
        assert_eq!(of(&[GOOD], &[&state]).unwrap().state, Some(format!("{},{}", member('a'), member('b'))));
    }

    #[test]
    fn an_event_keeps_the_trace_that_it_has() {
        let (ours, state) = (context(GOOD, Some("a=1")), "00-not-even-a-trace");
        let mut own = NewEvent::raw("t", Payload::default()).extension(PARENT, state);
        ours.join(&mut own);
        assert_eq!(own, NewEvent::raw("t", Payload::default()).extension(PARENT, state));
        let mut none = NewEvent::raw("t", Payload::default());
        ours.join(&mut none);
        assert_eq!(TraceContext::of_event(&none.extensions), Some(ours));
    }

    #[test]
    fn an_event_has_a_place_only_if_it_is_a_good_one() {
        let extensions = |parent: serde_json::Value| Extensions::from([(PARENT.to_owned(), parent)]);
        assert_eq!(TraceContext::of_event(&Extensions::new()), None);
        assert_eq!(TraceContext::of_event(&extensions(7.into())), None);
        assert_eq!(TraceContext::of_event(&extensions("00\r\nx: y".into())), None);
        let context = TraceContext::of_event(&extensions(GOOD.into())).unwrap();
        assert_eq!(context.headers().collect::<Vec<_>>(), [("traceparent", GOOD)]);
    }

    proptest! {
        #[test]
        fn what_is_handed_on_can_be_read_again(
            version in "[0-9a-f]{2}|00",
            rest in "-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,4})?|.{0,60}",
            state in "([a-z0-9@/_*-]{0,4}=[ -~]{0,4}[ ,]{0,2}){0,40}|.{0,20}",
        ) {
            if let Some(context) = of(&[&format!("{version}{rest}")], &[&state]) {
                let again = of(&[&context.parent], &context.state.iter().map(String::as_str).collect::<Vec<_>>());
                prop_assert_eq!(Some(context), again);
            }
        }
    }
}
