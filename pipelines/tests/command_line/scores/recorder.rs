//! Scores of a network of PyTorch, as `pipelines/python/spfde_recorder.py` has written them: `tests/recorded`
//! says how.

use super::*;

#[test]
fn what_the_recorder_wrote_is_judged() {
    let place = Place::new();
    let scores = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/scores");
    let files: Vec<_> = scores.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    let mut ever_right = vec![[false; 3]; 200];
    for file in &files {
        table_file::read(file, &["epoch", "sample", "correct", "loss"], |columns| {
            let [
                Values::Integer(epochs),
                Values::Integer(samples),
                Values::Boolean(right),
                Values::Number(_),
            ] = &columns[..]
            else {
                panic!("{columns:?}");
            };
            for ((epoch, sample), right) in epochs.iter().zip(samples).zip(right) {
                ever_right[sample.unwrap() as usize][epoch.unwrap() as usize] = right.unwrap();
            }
        })
        .unwrap();
    }
    let settings = ["sieve.policy=forgetting", "sieve.interval=3", "sieve.fraction=0.2", "--out", "kept"];
    let words = [&["replay", "--scores", scores.to_str().unwrap()], &settings[..]].concat();
    place.run(&words).done();
    let kept = kept(&place, "kept", 0);
    assert_eq!(kept.len(), 160);
    // A sample that was never right is hardest. Of the others more than 40 were never right before they were
    // wrong: all that go are among those.
    let is_easy =
        |right: &[bool; 3]| right.contains(&true) && !right.windows(2).any(|pair| pair == [true, false]);
    assert!(ever_right.iter().filter(|right| is_easy(right)).count() > 40);
    let gone: Vec<usize> = (0..200).filter(|sample| !kept.contains(&sample.to_string())).collect();
    assert!(gone.iter().all(|sample| is_easy(&ever_right[*sample])), "{gone:?}");
}
