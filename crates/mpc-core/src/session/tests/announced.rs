//! What a link that measures time is told, and what a report says the work should cost.

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Computing(Step),
    Sent(Step),
    Received(Step),
}

type Log = Arc<Mutex<Vec<Event>>>;

struct Measured(MemoryLink, Log);

impl Link for Measured {
    fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkError> {
        self.1.lock().unwrap().push(Event::Sent(step));
        self.0.send(step, body)
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        self.1.lock().unwrap().push(Event::Received(step));
        self.0.receive(step, max_len)
    }

    fn computing(&mut self, step: Step) {
        self.1.lock().unwrap().push(Event::Computing(step));
    }
}

struct Told(Log);

impl Observer for Told {
    fn progress(&mut self, progress: Progress) {
        self.0.lock().unwrap().push(Event::Computing(progress.step));
    }
}

/// Without a word, what is computed after a message belongs to that message. So work for a message of
/// another step must be announced, and so must the update, which has no message.
#[test]
fn work_that_does_not_belong_to_the_last_message_is_announced() {
    let data = made_up(8, [200, 120], true);
    let run = run_of(8, small(2, 0.5));
    let (link_a, link_b) = MemoryLink::pair(TIMEOUT);
    let logs = [Log::default(), Log::default()];
    let report = thread::scope(|s| {
        let (run, data, logs) = (&run, &data, &logs);
        let a = s.spawn(move || {
            let (mut link, mut told) = (Measured(link_a, logs[0].clone()), Told(logs[0].clone()));
            let (vault, rng) = (&mut MemoryVault::default(), &mut ChaCha20Rng::seed_from_u64(80));
            run_a(run, &data.a[0], &data.a[1], &mut link, vault, &mut told, rng).unwrap()
        });
        let (mut link, mut told) = (Measured(link_b, logs[1].clone()), Told(logs[1].clone()));
        let (vault, rng) = (&mut MemoryVault::default(), &mut ChaCha20Rng::seed_from_u64(81));
        let report = run_b(run, &data.b[0], &data.b[1], &mut link, vault, &mut told, rng).unwrap();
        a.join().unwrap();
        report
    });
    let heavy = [
        Step::PsiTrain,
        Step::PsiTest,
        Step::OtExtension,
        Step::Forward,
        Step::ErrorOle,
        Step::ErrorCiphertexts,
        Step::Evaluate,
    ];
    for (log, name) in logs.iter().zip(["A", "B"]) {
        let log = log.lock().unwrap();
        let mut of = None;
        for (i, &event) in log.iter().enumerate() {
            match event {
                Event::Computing(step) => of = Some(step),
                Event::Received(step) => of = Some(step),
                Event::Sent(step) => {
                    let other = of.is_some_and(|of| of != step) && heavy.contains(&step);
                    assert!(!other, "{name}: message {i} of {step} was made as a part of {of:?}");
                    of = None;
                }
            }
        }
        let updates = log
            .windows(2)
            .filter(|pair| *pair == [Event::Sent(Step::BatchEnd), Event::Computing(Step::Update)]);
        assert_eq!(updates.count(), report.iterations as usize, "{name}");
    }

    // Both tables hold three indicators a row; A publishes that as 4, and B has the intercept too.
    let [a, b] = report.costs.map(|costs| costs.into_iter().find(|(of, _)| *of == Step::Update));
    let rows = f64::from(report.iterations * 64);
    assert_eq!(a, Some((Step::Update, rows * 4.0)));
    assert_eq!(b, Some((Step::Update, rows * 4.0)));
}

#[test]
fn what_a_checkpoint_holds_costs_nothing_again() {
    let data = made_up(9, [420, 400], true);
    let run = run_of(9, small(2, 0.5));
    let prepared = |table: &[Table; 2]| {
        let rows: Vec<usize> = (0..table[0].ids.len()).collect();
        crate::features::prepare(&table[0], &table[1], [&rows, &[], &[0]], false).unwrap().bounds
    };
    let rows = [300, 0, 2_500];
    let plan = Plan::new(&run.parameters, rows, prepared(&data.a), prepared(&data.b)).unwrap();
    let mut observer = NoObserver;
    let mut work = Work::new(&mut observer, 0, 0);
    let attempt = work.attempt(&plan, plan.steps());
    assert_eq!((attempt.mini_batches, attempt.test_rows), (8, 2_500));
    work.notice(Notice::Resumed { step: 8, steps: 8, rolled_back: 0, opened: 2 });
    let attempt = work.attempt(&plan, plan.steps());
    assert_eq!((attempt.mini_batches, attempt.test_rows), (0, 2_500 - 2 * CHUNK_ROWS));
    work.notice(Notice::Resumed { step: 3, steps: 8, rolled_back: 1, opened: 0 });
    assert_eq!(work.attempt(&plan, plan.steps()).mini_batches, 5);
}
