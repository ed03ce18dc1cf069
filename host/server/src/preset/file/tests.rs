use llm_bench_core::benchmark::FewShotSampling;
use serde_json::json;

use super::*;

fn task(text: &str) -> TaskPreset {
    match parse("mine", text).unwrap().0 {
        Preset::Task(task) => *task,
        Preset::Group(group) => panic!("{group:?}"),
    }
}

#[test]
fn few_shot_is_a_count_or_a_table() {
    let few_shot = |line: &str| task(&format!("plugin = 'x'\nfew_shot = {line}\n")).few_shot;
    assert_eq!(few_shot("3"), FewShotChoices { count: Some(3), ..FewShotChoices::default() });
    assert_eq!(
        few_shot("{ count = 5, split = 'dev', sampling = 'random', exclude_evaluated = true }"),
        FewShotChoices {
            count: Some(5),
            split: Some("dev".into()),
            sampling: Some(FewShotSampling::Random),
            exclude_evaluated: Some(true),
        }
    );
}

#[test]
fn a_dataset_is_a_registered_one_or_one_of_the_hub() {
    let dataset = |line: &str| task(&format!("plugin = 'x'\ndataset = {line}\n")).dataset.unwrap();
    assert_eq!(dataset("'capitals'"), DatasetReference::Registered("capitals".into()));
    assert_eq!(
        dataset("{ hub = 'allenai/ai2_arc', config = 'ARC-Easy' }"),
        DatasetReference::Hub { repository: "allenai/ai2_arc".into(), config: Some("ARC-Easy".into()) }
    );
}

#[test]
fn a_mistake_is_named() {
    let refusal = |text: &str| parse("mine", text).unwrap_err();
    for (text, named) in [
        ("plugin = 'x'\ndatasett = 'y'\n", "datasett"),
        ("dataset = 'y'\n", "there is no `plugin`"),
        ("plugin = 'x'\nfew_shot = { cout = 1 }\n", "unknown field `cout`"),
        ("plugin = 'x'\nfew_shot = { sampling = 'best' }\n", "unknown variant `best`"),
        ("plugin = 'x'\nfew_shot = -1\n", "few_shot"),
        ("plugin = 'x'\ndataset = { hob = 'y' }\n", "unknown field `hob`"),
        ("plugin = 'x'\nchat = true\n[config]\nchat = false\n", "`chat` is given twice"),
        ("[group]\nmembers = []\n", "no members"),
        ("[group]\nmembers = ['a', 'a']\n", "`a` stands twice"),
        ("[group]\nmembers = ['mine']\n", "`mine` stands twice"),
        ("[group]\nmembers = ['a']\nsubjects = ['b']\n", "either `members`"),
        ("plugin = 'x'\n[group]\nmembers = ['a']\n", "no `plugin`"),
        ("dataset = 'x'\n[group]\nmembers = ['a']\n", "no `dataset`"),
        ("split = 'x'\n[group]\nmembers = ['a']\n", "no `split`"),
        ("few_shot = 1\n[group]\nmembers = ['a']\n", "no `few_shot`"),
        ("chat = true\n[group]\nmembers = ['a']\n", "no `chat`"),
        ("system = 'x'\n[group]\nmembers = ['a']\n", "no `system`"),
        ("[columns]\na = 'b'\n[group]\nmembers = ['a']\n", "no `columns`"),
        ("[config]\na = 'b'\n[group]\nmembers = ['a']\n", "no `config`"),
        ("plugin = 'x'\n[group]\nmember = 'm_{{ subject }}'\n", "needs `members`"),
        ("plugin = 'x'\n[group]\nmember = 'm'\nsubjects = ['a']\n", "write {{ subject }} in it"),
        ("plugin = 'x'\n[group]\nmember = 'm_{{ subject }}'\nsubjects = ['a b']\n", "not a name"),
        ("plugin = 'x'\n[group]\nmember = 'm_{{ subject }}'\nsubjects = 7\n", "expected a list of subjects"),
    ] {
        let message = refusal(text);
        assert!(message.contains(named), "{text}: {message}");
    }
}

#[test]
fn a_file_of_subjects_is_a_group_its_parts_and_its_members() {
    let text = "
        description = 'About {{ subject }}'
        plugin = 'multiple-choice'
        dataset = { hub = 'some/exam', config = '{{ subject }}' }
        [config]
        description = 'On {{ subject | words }}: {{ question }}'
        choices = ['{{ subject }}']
        [group]
        member = 'exam_{{ subject }}'
        metrics = ['acc']
        [group.subjects]
        exam_law = ['roman_law']
        exam_other = ['chess', 'go']
    ";
    let (Preset::Group(whole), made) = parse("exam", text).unwrap() else { panic!() };
    let names: Vec<_> = made.iter().map(Preset::name).collect();
    assert_eq!(names, ["exam_law", "exam_other", "exam_roman_law", "exam_chess", "exam_go"]);
    assert_eq!(whole.members, ["exam_roman_law", "exam_chess", "exam_go"]);
    assert_eq!(whole.metrics, Some(vec!["acc".to_owned()]));
    let Preset::Task(law) = &made[2] else { panic!() };
    assert_eq!(law.config["description"], "On roman law: {{ question }}");
    assert_eq!(law.config["choices"], json!(["roman_law"]));
    assert_eq!(law.data_names(), ["exam_roman_law", "roman_law"]);
}

#[test]
fn the_subject_is_filled_in_every_value_and_in_no_key() {
    let text = "
        description = 'About {{ subject | words }}'
        plugin = 'exam-{{ subject }}'
        dataset = { hub = 'some/{{ subject }}', config = '{{ subject }}' }
        split = '{{ subject }}'
        few_shot = { split = 'dev-{{ subject }}' }
        system = 'On {{ subject }}.'
        [columns]
        question = '{{ subject }}_question'
        [config]
        '{{ subject }}' = { nested = ['{{ subject }}'] }
        [group]
        member = 'exam_{{ subject }}'
        subjects = ['roman_law']
    ";
    let made = parse("exam", text).unwrap().1;
    let filled = TaskPreset {
        name: "exam_roman_law".into(),
        description: "About roman law".into(),
        plugin: "exam-roman_law".into(),
        config: json!({"{{ subject }}": {"nested": ["roman_law"]}}).as_object().unwrap().clone(),
        dataset: Some(DatasetReference::Hub {
            repository: "some/roman_law".into(),
            config: Some("roman_law".into()),
        }),
        split: Some("roman_law".into()),
        few_shot: FewShotChoices { split: Some("dev-roman_law".into()), ..FewShotChoices::default() },
        columns: [("question".into(), "roman_law_question".into())].into(),
        chat: None,
        system: Some("On roman_law.".into()),
    };
    assert_eq!(made, [Preset::Task(Box::new(filled))]);
}
