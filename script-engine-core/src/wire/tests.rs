//! Both directions of the codec: what is written is read, and what others wrote neither ends the
//! reader nor makes it take more memory than there are bytes.

use proptest::prelude::*;

use super::{
    FromAgent, HEADER_LEN, Header, Landlock, LandlockRule, Listen, MAX_DATA, MAX_FRAME, MAX_PAYLOAD, MAX_PIECE, Place,
    Reader, Start, Stream, ToAgent, Traffic, VERSION, WireError, Writer,
};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..80)
}

fn list() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(bytes(), 0..6)
}

fn text() -> impl Strategy<Value = String> {
    ".{0,40}"
}

fn stream() -> impl Strategy<Value = Stream> {
    prop::sample::select(vec![Stream::Control, Stream::Stdin, Stream::Stdout, Stream::Stderr, Stream::File])
}

fn start() -> impl Strategy<Value = Start> {
    let texts = (list(), list(), bytes());
    let numbers = (any::<bool>(), any::<[u32; 6]>(), any::<[u64; 2]>());
    (texts, numbers).prop_map(|((argv, env, cwd), (stdin, small, large))| Start {
        argv,
        env,
        cwd,
        stdin,
        open_files: small[0],
        processes: small[1],
        file_bytes: large[0],
        supervised_memory: large[1],
        supervised_processes: small[2],
        leak_ms: small[3],
        window: small[4],
        primed_with: small[5],
    })
}

fn landlock() -> impl Strategy<Value = Landlock> {
    let rule = (bytes(), any::<u64>()).prop_map(|(path, access)| LandlockRule { path, access });
    (any::<u32>(), any::<[u64; 3]>(), prop::collection::vec(rule, 0..6)).prop_map(|(min_abi, masks, rules)| Landlock {
        min_abi,
        handled_fs: masks[0],
        handled_net: masks[1],
        scoped: masks[2],
        rules,
    })
}

fn listen() -> impl Strategy<Value = Listen> {
    let entries = prop::collection::vec((text(), any::<u16>()), 0..6);
    (entries, prop::collection::vec(any::<u16>(), 0..6)).prop_map(|(entries, ports)| Listen { entries, ports })
}

fn traffic() -> impl Strategy<Value = Traffic> {
    prop_oneof![
        bytes().prop_map(Traffic::Bytes),
        Just(Traffic::End),
        any::<u32>().prop_map(Traffic::Credit),
        Just(Traffic::Reset),
    ]
}

fn to_agent() -> impl Strategy<Value = ToAgent> {
    let place = prop::sample::select(vec![Place::Scripts, Place::Work, Place::Gate]);
    let file = (place, bytes(), any::<u32>(), any::<u64>(), any::<bool>(), bytes());
    prop_oneof![
        any::<[u32; 2]>().prop_map(|[lease_ms, beat_ms]| ToAgent::Hello { lease_ms, beat_ms }),
        Just(ToAgent::Ping),
        (list(), landlock()).prop_map(|(seccomp, landlock)| ToAgent::Filter { seccomp, landlock }),
        file.prop_map(|(place, path, mode, offset, last, data)| ToAgent::File {
            place,
            path,
            mode,
            offset,
            last,
            data
        }),
        list().prop_map(|vars| ToAgent::Env { vars }),
        start().prop_map(|it| ToAgent::Start(Box::new(it))),
        (stream(), any::<u64>(), bytes()).prop_map(|(stream, time_us, bytes)| ToAgent::Data { stream, time_us, bytes }),
        stream().prop_map(|stream| ToAgent::End { stream }),
        (stream(), any::<u32>()).prop_map(|(stream, bytes)| ToAgent::Credit { stream, bytes }),
        any::<i32>().prop_map(|signal| ToAgent::Signal { signal }),
        (bytes(), any::<u64>()).prop_map(|(path, max_bytes)| ToAgent::Collect { path, max_bytes }),
        listen().prop_map(ToAgent::Listen),
        (any::<u32>(), traffic()).prop_map(|(id, traffic)| ToAgent::Traffic { id, traffic }),
        Just(ToAgent::Reset),
        Just(ToAgent::Posture),
        Just(ToAgent::Shutdown),
    ]
}

fn from_agent() -> impl Strategy<Value = FromAgent> {
    let exited = (any::<[i32; 2]>(), any::<[u64; 3]>(), any::<[bool; 2]>(), any::<u32>());
    prop_oneof![
        (text(), text(), any::<[u32; 2]>()).prop_map(|(build, arch, [features, landlock_abi])| FromAgent::Hello {
            build,
            arch,
            features,
            landlock_abi
        }),
        any::<u64>().prop_map(|time_us| FromAgent::Started { time_us }),
        (stream(), any::<u64>(), bytes()).prop_map(|(stream, time_us, bytes)| FromAgent::Data {
            stream,
            time_us,
            bytes
        }),
        (stream(), any::<u64>()).prop_map(|(stream, total)| FromAgent::End { stream, total }),
        exited.prop_map(|(ended, used, [out_of_memory, too_many_processes], leaked)| FromAgent::Exited {
            code: ended[0],
            signal: ended[1],
            user_us: used[0],
            system_us: used[1],
            peak_memory: used[2],
            out_of_memory,
            too_many_processes,
            leaked,
        }),
        (any::<[u64; 2]>(), any::<u32>()).prop_map(|([cpu_us, memory], processes)| FromAgent::Beat {
            cpu_us,
            memory,
            processes
        }),
        (stream(), any::<u32>()).prop_map(|(stream, bytes)| FromAgent::Credit { stream, bytes }),
        Just(FromAgent::Listening),
        (any::<u32>(), text(), any::<u16>(), any::<u32>()).prop_map(|(id, host, port, credit)| FromAgent::Accepted {
            id,
            host,
            port,
            credit
        }),
        (any::<u32>(), traffic()).prop_map(|(id, traffic)| FromAgent::Traffic { id, traffic }),
        (any::<u64>(), text()).prop_map(|(size, note)| FromAgent::FileBegin { size, note }),
        prop::collection::vec(text(), 0..6).prop_map(|findings| FromAgent::ResetDone { findings }),
        prop::collection::vec((text(), text()), 0..6).prop_map(|facts| FromAgent::PostureReport { facts }),
        (text(), text(), any::<i32>(), any::<bool>()).prop_map(|(operation, message, errno, fatal)| FromAgent::Fault {
            operation,
            message,
            errno,
            fatal
        }),
    ]
}

/// Takes a frame apart as a reader of the link does.
fn open(frame: &[u8]) -> (Header, &[u8]) {
    let (head, payload) = frame.split_first_chunk::<HEADER_LEN>().unwrap();
    let header = Header::decode(head).unwrap();
    assert_eq!(header.length, payload.len());
    (header, payload)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_to_the_agent_is_read_as_written(message in to_agent(), execution: u32) {
        let frame = message.encode(execution).unwrap();
        let (header, payload) = open(&frame);
        prop_assert_eq!(header.execution, execution);
        prop_assert_eq!(ToAgent::decode(&header, payload), Ok(message));
    }

    #[test]
    fn what_comes_from_the_agent_is_read_as_written(message in from_agent(), execution: u32) {
        let frame = message.encode(execution).unwrap();
        let (header, payload) = open(&frame);
        prop_assert_eq!(header.execution, execution);
        prop_assert_eq!(FromAgent::decode(&header, payload), Ok(message));
    }

    #[test]
    fn a_message_without_its_end_is_none(message in to_agent(), cut in 1_usize..40) {
        let frame = message.encode(1).unwrap();
        let (header, payload) = open(&frame);
        // The bytes of `Data` and `Traffic` are whatever is left.
        let open_end = matches!(message, ToAgent::Data { .. } | ToAgent::Traffic { traffic: Traffic::Bytes(_), .. });
        prop_assume!(!open_end && cut <= payload.len());
        prop_assert_eq!(ToAgent::decode(&header, &payload[..payload.len() - cut]), Err(WireError::Truncated));
    }

    #[test]
    fn a_message_with_more_than_its_end_is_none(message in from_agent(), more in bytes()) {
        let frame = message.encode(1).unwrap();
        let (header, payload) = open(&frame);
        let open_end = matches!(message, FromAgent::Data { .. } | FromAgent::Traffic { traffic: Traffic::Bytes(_), .. });
        prop_assume!(!open_end && !more.is_empty());
        let payload = [payload, &more].concat();
        prop_assert_eq!(FromAgent::decode(&header, &payload), Err(WireError::Trailing));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        kind: u8,
        stream in stream(),
        payload in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let header = Header { length: payload.len(), kind, stream, execution: 0 };
        // What is read is written as the same bytes, so nothing was made up.
        if let Ok(message) = ToAgent::decode(&header, &payload) {
            let frame = message.encode(0).unwrap();
            prop_assert_eq!(&frame[HEADER_LEN..], &payload[..]);
        }
        if let Ok(message) = FromAgent::decode(&header, &payload) {
            let frame = message.encode(0).unwrap();
            prop_assert_eq!(&frame[HEADER_LEN..], &payload[..]);
        }
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(bytes: [u8; HEADER_LEN]) {
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert!(header.length <= MAX_PAYLOAD);
            prop_assert_eq!(header.encode(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_of_a_message_is_read_or_refused(message in to_agent(), at: prop::sample::Index, value: u8) {
        let mut frame = message.encode(1).unwrap();
        let at = at.index(frame.len());
        frame[at] = value;
        if let Some((head, payload)) = frame.split_first_chunk::<HEADER_LEN>()
            && let Ok(header) = Header::decode(head)
        {
            drop(ToAgent::decode(&header, payload));
            drop(FromAgent::decode(&header, payload));
        }
    }
}

#[test]
fn headers_that_no_frame_may_have() {
    #[track_caller]
    fn check(change: impl Fn(&mut [u8; HEADER_LEN]), expected: WireError) {
        let mut bytes = Header { length: 0, kind: 2, stream: Stream::Control, execution: 0 }.encode();
        change(&mut bytes);
        assert_eq!(Header::decode(&bytes), Err(expected));
    }
    let longest = MAX_PAYLOAD as u32;
    check(|it| it[..4].copy_from_slice(&(longest + 1).to_le_bytes()), WireError::TooLong(u64::from(longest) + 1));
    check(|it| it[..4].copy_from_slice(&u32::MAX.to_le_bytes()), WireError::TooLong(u64::from(u32::MAX)));
    check(|it| it[5] = 5, WireError::Value("stream"));
    check(|it| it[6..8].copy_from_slice(&(VERSION + 1).to_le_bytes()), WireError::Version(VERSION + 1));
}

#[test]
fn the_longest_frame_and_one_byte_more() {
    let data = |count| ToAgent::Data { stream: Stream::Stdin, time_us: 0, bytes: vec![7; count] }.encode(1);
    assert_eq!(data(MAX_DATA).map(|it| it.len()), Ok(MAX_FRAME));
    assert_eq!(data(MAX_DATA + 1), Err(WireError::TooLong(MAX_PAYLOAD as u64 + 1)));
    let piece = |count| FromAgent::Traffic { id: 1, traffic: Traffic::Bytes(vec![7; count]) }.encode(1);
    assert_eq!(piece(MAX_PIECE).map(|it| it.len()), Ok(MAX_FRAME));
    assert_eq!(piece(MAX_PIECE + 1), Err(WireError::TooLong(MAX_PAYLOAD as u64 + 1)));
}

#[test]
fn counts_are_believed_only_as_far_as_there_are_bytes() {
    // A list of four thousand million items, a text of as many bytes.
    let payload = [0xff; 8];
    assert_eq!(Reader::new(&payload).list(Reader::bytes), Err(WireError::Truncated));
    assert_eq!(Reader::new(&payload).bytes(), Err(WireError::Truncated));
    assert_eq!(Reader::new(&payload).text(), Err(WireError::Truncated));
    let mut w = Writer::default();
    w.bytes(&[0xff]);
    assert_eq!(Reader::new(&w.0).text(), Err(WireError::Value("text")));
    assert_eq!(Reader::new(&[2]).bool(), Err(WireError::Value("boolean")));
}
