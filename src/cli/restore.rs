//! `safelight restore`: the main job without a server, without a data directory and without a network.
//!
//! First what was typed becomes a list of tasks, and everything that is wrong with it is said before anything is
//! done; then the tasks are run one after the other, each on all threads, and a bad file does not stop the others.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::put;
use crate::engine::{Decision, Engines, Outcome, Preset, Progress, Step, StepReport, StepRequest};
use crate::imaging::{Budget, Format, Limits, SNIFF_BYTES};
use crate::restore::pipeline::{self, Made, Plan as Pipeline, Stage, Workshop, sentence};
use crate::restore::presets::file as presets;

/// `safelight restore INPUT... -o OUT`
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The format stays the input's: JPEG at quality 95 with all its colour, PNG, WebP and TIFF with \
    their bit depth; GIF becomes PNG. EXIF, colour profile and orientation are carried over. A picture that needs \
    nothing is copied byte by byte.\n\nExit codes: 0 everything was done, 1 at least one picture was not, 2 wrong usage."
)]
pub struct RestoreArgs {
    /// Pictures, and folders of pictures
    #[arg(required = true, value_name = "INPUT", value_hint = clap::ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// Where the results go: a folder if it is one, ends in / or there are several inputs, else a file
    #[arg(short, long, value_name = "OUT", value_hint = clap::ValueHint::AnyPath)]
    pub output: PathBuf,
    /// How much to restore, or a file of presets such as attic.toml, whose first one runs exactly in its order [default:
    /// auto, or nothing but the given steps]
    #[arg(long, value_name = "PRESET", value_parser = PresetParser)]
    pub preset: Option<PresetChoice>,
    /// A step and its strength from 0 (off) to 1, such as denoise=0.5; changes the preset where there is one
    #[arg(long = "step", value_name = "NAME=STRENGTH", value_parser = parse_step)]
    pub steps: Vec<StepRequest>,
    /// A PNG of the same size that is white where the input is damaged; for a single input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub mask: Option<PathBuf>,
    /// Format of the results [default: the input's]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub format: Option<Format>,
    /// Threads to compute with [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Print one JSON object per input
    #[arg(long)]
    pub json: bool,
}

/// What `--preset` names.
#[derive(Debug, Clone)]
pub enum PresetChoice {
    /// A preset that comes with the program.
    Shipped(Preset),
    /// A file with presets.
    File(PathBuf),
}

/// Reads the name of a preset or of a file with presets; help and completions list the names.
#[derive(Debug, Clone)]
struct PresetParser;

impl TypedValueParser for PresetParser {
    type Value = PresetChoice;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<PresetChoice, clap::Error> {
        let path = Path::new(value);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
            return Ok(PresetChoice::File(path.to_owned()));
        }
        PossibleValuesParser::new(Preset::ALL.map(Preset::as_str))
            .try_map(|name| name.parse::<Preset>())
            .parse_ref(command, arg, value)
            .map(PresetChoice::Shipped)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Preset::ALL.into_iter().map(|preset| PossibleValue::new(preset.as_str()))))
    }
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["jpeg", "png", "webp", "tiff"])
        .map(|name| pipeline::format_of_extension(&name).expect("each of these names a format"))
}

/// Reads `denoise=0.5`.
fn parse_step(text: &str) -> Result<StepRequest, String> {
    let (name, strength) = text.split_once('=').ok_or("it must look like denoise=0.5")?;
    let step: Step = name.trim().parse().map_err(|_| {
        let engines = Engines::new();
        let known: Vec<&str> =
            engines.all().flat_map(|engine| engine.steps()).map(|info| info.step.as_str()).collect();
        format!("there is no step {name:?}: there are {}", known.join(", "))
    })?;
    let strength: f32 = strength
        .trim()
        .parse()
        .ok()
        .filter(|strength| (0.0..=1.0).contains(strength))
        .ok_or_else(|| format!("the strength of {name} must be a number from 0 to 1"))?;
    Ok(StepRequest { step, strength })
}

/// Runs `safelight restore`. The exit code is 1 when a picture could not be restored and 2 when nothing was tried
/// because the arguments don't fit together.
///
/// # Errors
/// When standard output can't be written.
pub fn run(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let engines = Engines::new();
    let job = match prepare(args, &engines) {
        Ok(job) => job,
        Err(Wrong(why)) => {
            eprintln!("error: {why}");
            return Ok(ExitCode::from(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the threads of this program")?;
    let code = runtime.block_on(work(&job, &engines));
    // A decoder that was told to stop may still be busy; nobody waits for it.
    runtime.shutdown_timeout(Duration::ZERO);
    code
}

/// Arguments that don't fit together: a sentence for whoever typed them.
struct Wrong(String);

/// What was typed, checked.
struct Checked {
    tasks: Vec<Task>,
    steps: Vec<StepRequest>,
    /// The name of the preset.
    preset: Option<String>,
    /// Whether the steps run exactly in their order.
    in_order: bool,
    mask: Option<Vec<u8>>,
    threads: Option<NonZeroUsize>,
    json: bool,
}

/// One picture to restore.
struct Task {
    input: PathBuf,
    plan: Result<Plan, String>,
}

/// Where its result goes.
struct Plan {
    /// The file that a restored picture becomes.
    output: PathBuf,
    /// The file that an unchanged picture becomes: the input's own format may have to keep its own name.
    copy: PathBuf,
    /// The format to write, where it is not left to the input.
    format: Option<Format>,
}

fn prepare(args: &RestoreArgs, engines: &Engines) -> Result<Checked, Wrong> {
    let engine = engines.get(None).map_err(|error| Wrong(error.to_string()))?;
    if let Some(unknown) =
        args.steps.iter().find(|asked| engine.steps().iter().all(|info| info.step != asked.step))
    {
        let known: Vec<&str> = engine.steps().iter().map(|info| info.step.as_str()).collect();
        return Err(Wrong(format!(
            "the built-in engine has no step {}: it has {}",
            unknown.step,
            known.join(", ")
        )));
    }
    let single = args.inputs.len() == 1 && !args.inputs[0].is_dir();
    if args.mask.is_some() && !single {
        return Err(Wrong("--mask belongs to a single picture".into()));
    }
    let mask = match &args.mask {
        None => None,
        Some(path) => Some(
            fs::read(path)
                .map_err(|error| Wrong(format!("the mask {} can't be read: {error}", shown(path))))?,
        ),
    };
    let is_folder =
        !single || args.output.is_dir() || args.output.as_os_str().as_encoded_bytes().ends_with(b"/");
    let tasks = if is_folder { into_folder(args)? } else { vec![into_file(args)?] };
    refuse_overwriting(&tasks, args.mask.as_deref())?;
    let (preset, steps, in_order) = choose_steps(args, mask.is_some())?;
    Ok(Checked { tasks, steps, preset, in_order, mask, threads: args.threads, json: args.json })
}

/// The name of the preset, the steps to run, and whether exactly in their order.
fn choose_steps(args: &RestoreArgs, masked: bool) -> Result<(Option<String>, Vec<StepRequest>, bool), Wrong> {
    let shipped = match &args.preset {
        Some(PresetChoice::File(path)) => {
            let (name, mut steps) = read_preset(path)?;
            for by_hand in &args.steps {
                match steps.iter_mut().find(|known| known.step == by_hand.step) {
                    Some(known) => *known = *by_hand,
                    None => steps.push(*by_hand),
                }
            }
            if masked && steps.iter().all(|request| request.step != Step::Inpaint) {
                steps.insert(0, StepRequest { step: Step::Inpaint, strength: 1.0 });
            }
            steps.retain(|request| request.strength > 0.0);
            return Ok((Some(name), steps, true));
        }
        Some(PresetChoice::Shipped(preset)) => Some(*preset),
        None => args.steps.is_empty().then_some(Preset::Auto),
    };
    let steps = pipeline::plan(shipped, &args.steps, masked);
    Ok((shipped.map(|preset| preset.to_string()), steps, false))
}

/// Reads the first preset of a file.
fn read_preset(path: &Path) -> Result<(String, Vec<StepRequest>), Wrong> {
    let unreadable = |error: io::Error| Wrong(format!("the preset {} can't be read: {error}", shown(path)));
    let mut text = String::new();
    // One byte more than is read tells that it is too long.
    let most = presets::FILE_BYTES_MAX as u64 + 1;
    fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)).map_err(unreadable)?;
    presets::builtin_steps(&text).map_err(|error| Wrong(format!("{}: {error}", shown(path))))
}

/// One input into a named file, whose extension may name the format.
fn into_file(args: &RestoreArgs) -> Result<Task, Wrong> {
    let output = &args.output;
    let by_name = output.extension().and_then(named_format);
    let format = match (args.format, by_name) {
        (_, Some(Format::Gif)) => {
            return Err(Wrong(format!("{}: a GIF can't hold a photograph; name it .png", shown(output))));
        }
        (Some(asked), Some(named)) if asked != named => {
            return Err(Wrong(format!(
                "{} says {}, but --format says {}",
                shown(output),
                named.name(),
                asked.name()
            )));
        }
        (asked, named) => asked.or(named),
    };
    let plan = match output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => Err(format!("The folder {} does not exist.", shown(folder))),
        _ => Ok(Plan { output: output.clone(), copy: output.clone(), format }),
    };
    Ok(Task { input: args.inputs[0].clone(), plan })
}

/// Several inputs, or those in folders, into a folder.
fn into_folder(args: &RestoreArgs) -> Result<Vec<Task>, Wrong> {
    if args.output.exists() && !args.output.is_dir() {
        return Err(Wrong(format!("{} is a file: several results need a folder", shown(&args.output))));
    }
    let mut tasks = Vec::new();
    let mut taken = HashSet::new();
    let own_output = args.output.canonicalize().ok();
    for input in &args.inputs {
        if !input.is_dir() {
            let name = input.file_name().map(PathBuf::from);
            let plan = match (name, format_of(input)) {
                (Some(name), Ok(source)) => Ok(plan_in_folder(args, &name, source, &mut taken)),
                (None, _) => Err("This names no file.".into()),
                (_, Err(error)) => Err(unreadable(&error)),
            };
            tasks.push(Task { input: input.clone(), plan });
            continue;
        }
        let mut found = Vec::new();
        let mut failed = Vec::new();
        walk(input, own_output.as_deref(), &mut found, &mut failed);
        if found.is_empty() && failed.is_empty() {
            tasks.push(Task {
                input: input.clone(),
                plan: Err("There are no pictures in this folder.".into()),
            });
        }
        for (path, source) in found {
            let name = path.strip_prefix(input).unwrap_or(&path).to_owned();
            let plan = Ok(plan_in_folder(args, &name, source, &mut taken));
            tasks.push(Task { input: path, plan });
        }
        for (path, error) in failed {
            tasks.push(Task { input: path, plan: Err(unreadable(&error)) });
        }
    }
    Ok(tasks)
}

fn plan_in_folder(
    args: &RestoreArgs,
    name: &Path,
    source: Option<Format>,
    taken: &mut HashSet<PathBuf>,
) -> Plan {
    let written = args.format.or(source.map(pipeline::kept_format));
    let copied = args.format.or(source);
    for number in 1_u32.. {
        let output = args.output.join(renamed(name, written, number));
        let copy =
            if copied == source { args.output.join(renamed(name, None, number)) } else { output.clone() };
        if !taken.contains(&output) && !taken.contains(&copy) {
            taken.insert(output.clone());
            taken.insert(copy.clone());
            return Plan { output, copy, format: args.format };
        }
    }
    unreachable!("there are more numbers than inputs")
}

/// The name with the extension of a format, unless it has one of that format already, and with a number if it is not
/// the first of that name.
fn renamed(name: &Path, format: Option<Format>, number: u32) -> PathBuf {
    let extension = match (format, name.extension()) {
        (Some(format), Some(extension)) if named_format(extension) == Some(format) => {
            Some(extension.to_owned())
        }
        (Some(format), _) => Some(format.extension().into()),
        (None, extension) => extension.map(OsStr::to_owned),
    };
    let mut file_name = name.file_stem().unwrap_or_default().to_owned();
    if number > 1 {
        file_name.push(format!(" ({number})"));
    }
    if let Some(extension) = extension {
        file_name.push(".");
        file_name.push(extension);
    }
    name.with_file_name(file_name)
}

/// Finds the pictures in a folder and the folders in it, by name. What is hidden, linked folders and the folder that
/// the results go to are left out; files that are no pictures are too, unless their name says that they are.
fn walk(
    folder: &Path,
    own_output: Option<&Path>,
    found: &mut Vec<(PathBuf, Option<Format>)>,
    failed: &mut Vec<(PathBuf, io::Error)>,
) {
    let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => {
            failed.push((folder.to_owned(), error));
            return;
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                // What an earlier run has made is not restored again.
                if own_output.is_none_or(|own| path.canonicalize().ok().as_deref() != Some(own)) {
                    walk(&path, own_output, found, failed);
                }
            }
            Ok(kind) if kind.is_file() || (kind.is_symlink() && path.is_file()) => {
                let named = path.extension().and_then(named_format).is_some();
                match format_of(&path) {
                    Ok(format) if format.is_some() || named => found.push((path, format)),
                    Ok(_) => {}
                    Err(error) if named => failed.push((path, error)),
                    Err(_) => {}
                }
            }
            Ok(_) => {}
            Err(error) => failed.push((path, error)),
        }
    }
}

/// The format of a file by its first bytes; none if it is no picture.
fn format_of(path: &Path) -> io::Result<Option<Format>> {
    let file = fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut head = Vec::new();
    file.take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
    Ok(Format::sniff(&head))
}

/// The format that an extension stands for.
fn named_format(extension: &OsStr) -> Option<Format> {
    pipeline::format_of_extension(extension.to_str()?)
}

/// No result may take the place of something that was given: under whatever name, it is the same file.
fn refuse_overwriting(tasks: &[Task], mask: Option<&Path>) -> Result<(), Wrong> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|data| (data.dev(), data.ino()));
    let given: HashSet<(u64, u64)> =
        tasks.iter().map(|task| task.input.as_path()).chain(mask).filter_map(identity).collect();
    for task in tasks {
        let Ok(plan) = &task.plan else { continue };
        for output in [&plan.output, &plan.copy] {
            if identity(output).is_some_and(|file| given.contains(&file)) {
                return Err(Wrong(format!(
                    "{} is one of the inputs: originals are never overwritten, choose another output",
                    shown(output)
                )));
            }
        }
    }
    Ok(())
}

/// What one input has become: the object that `--json` prints.
#[derive(Debug, Serialize)]
struct Line<'a> {
    input: String,
    output: Option<String>,
    outcome: Option<Outcome>,
    format: Option<Format>,
    width: Option<u32>,
    height: Option<u32>,
    preset: Option<&'a str>,
    steps: &'a [StepRequest],
    report: Vec<StepReport>,
    error: Option<Failed>,
    duration_ms: u64,
}

/// Why an input has become nothing.
#[derive(Debug, Serialize)]
struct Failed {
    code: &'static str,
    detail: String,
}

impl Failed {
    fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
            _ => "not-written",
        };
        Self { code, detail: format!("{} can't be {doing}: {error}.", shown(path)) }
    }
}

async fn work(job: &Checked, engines: &Engines) -> anyhow::Result<ExitCode> {
    let budget = Budget::of_this_machine();
    let cancel = CancellationToken::new();
    let signals = tokio::spawn(cancel_on_signal(cancel.clone()));
    let talk = Talk::new();
    let (mut restored, mut unchanged, mut failed) = (0_usize, 0_usize, 0_usize);
    for (index, task) in job.tasks.iter().enumerate() {
        if cancel.is_cancelled() {
            break;
        }
        let started = Instant::now();
        let bar = talk.bar(index + 1, job.tasks.len(), &task.input);
        let workshop = Workshop { engines, budget: &budget, limits: Limits::default() };
        let result = restore_one(task, job, workshop, &bar, &cancel).await;
        bar.finish_and_clear();
        if let Err(failure) = &result
            && failure.code == "cancelled"
        {
            break;
        }
        let mut line = Line {
            input: task.input.to_string_lossy().into_owned(),
            output: None,
            outcome: None,
            format: None,
            width: None,
            height: None,
            preset: job.preset.as_deref(),
            steps: &job.steps,
            report: Vec::new(),
            error: None,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        match result {
            Ok((made, output)) => {
                match made.outcome {
                    Outcome::Restored => restored += 1,
                    Outcome::Unchanged => unchanged += 1,
                }
                talk.say(&format!("{} -> {}: {}", shown(&task.input), shown(output), deed(&made)));
                line.output = Some(output.to_string_lossy().into_owned());
                line.outcome = Some(made.outcome);
                line.format = Some(made.file.as_ref().map_or(made.source, |file| file.format));
                (line.width, line.height) = (Some(made.width), Some(made.height));
                line.report = made.report;
            }
            Err(failure) => {
                failed += 1;
                talk.say(&format!("error: {}: {}", shown(&task.input), failure.detail));
                line.error = Some(failure);
            }
        }
        if job.json {
            let text = serde_json::to_string(&line).context("can't write JSON")?;
            put(format!("{text}\n").as_bytes())?;
        }
    }
    signals.abort();
    if job.tasks.len() > 1 {
        talk.say(&format!("{restored} restored, {unchanged} unchanged, {failed} failed"));
    }
    if cancel.is_cancelled() {
        talk.say("stopped: the other pictures were not touched");
    }
    let fine = failed == 0 && !cancel.is_cancelled();
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Restores one picture and writes the result; returns where it is.
async fn restore_one<'a>(
    task: &'a Task,
    job: &Checked,
    workshop: Workshop<'_>,
    bar: &ProgressBar,
    cancel: &CancellationToken,
) -> Result<(Made, &'a Path), Failed> {
    let plan = task.plan.as_ref().map_err(|why| Failed { code: "not-read", detail: why.clone() })?;
    let source = fs::File::open(&task.input)
        .map_err(|error| Failed { code: "not-read", detail: unreadable(&error) })?;
    let stages = if job.in_order {
        let mut stages = Vec::new();
        for (place, step) in (0..).zip(&job.steps) {
            Stage::push(&mut stages, *step, place, None);
        }
        stages
    } else {
        vec![Stage::Local { engine: None, steps: job.steps.clone(), place: 0, mask: None }]
    };
    let (mask, format, threads) = (job.mask.clone(), plan.format, job.threads);
    let steps = Pipeline { stages, mask, format, threads, ..Pipeline::default() };
    let progress = Progress::new({
        let bar = bar.clone();
        move |fraction, step| {
            bar.set_message(step.as_str());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            bar.set_position((fraction * 1000.0) as u64);
        }
    });
    let made = pipeline::restore_in_stages(source, steps, workshop, None, progress, cancel)
        .await
        .map_err(|error| Failed { code: error.code(), detail: sentence(&error) })?;
    let (output, written) = match &made.file {
        Some(file) => (&plan.output, write_whole(&plan.output, &mut file.bytes.as_slice())),
        None => {
            (&plan.copy, fs::File::open(&task.input).and_then(|mut file| write_whole(&plan.copy, &mut file)))
        }
    };
    written.map_err(|error| Failed::io("written", output, &error))?;
    Ok((made, output))
}

/// Writes a file so that it is whole or absent under its name, in whatever moment the power fails.
fn write_whole(path: &Path, content: &mut dyn Read) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = Draft(folder.join(format!(".safelight-{}.part", crate::id::fresh())));
    let mut file = fs::File::create_new(&draft.0)?;
    io::copy(content, &mut file)?;
    file.flush()?;
    file.sync_all()?;
    fs::rename(&draft.0, path)
}

/// A file that is removed unless it has got its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_file(&self.0);
    }
}

fn deed(made: &Made) -> String {
    let applied: Vec<&str> = made
        .report
        .iter()
        .filter(|step| step.decision == Decision::Applied)
        .map(|step| step.step.as_str())
        .collect();
    match (&made.file, applied.as_slice()) {
        (None, _) => "nothing had to be done, copied as it is".into(),
        (Some(file), []) => format!("nothing had to be done, written as {}", file.format.name()),
        (Some(_), applied) => format!("restored ({})", applied.join(", ")),
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "There is no such file.".into(),
        io::ErrorKind::PermissionDenied => "It may not be read.".into(),
        _ => format!("It can't be read: {error}."),
    }
}

/// A path for a person: a terminal must not obey what somebody put into a file's name.
fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

async fn cancel_on_signal(cancel: CancellationToken) {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    let terminated = async {
        match terminate {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
    cancel.cancel();
}

/// What is said while working, on standard error: a bar on a terminal, plain lines otherwise.
struct Talk {
    is_terminal: bool,
}

impl Talk {
    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal() }
    }

    fn bar(&self, number: usize, count: usize, input: &Path) -> ProgressBar {
        let target =
            if self.is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3}% {msg:<14}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let name = input.file_name().map_or_else(String::new, |name| shown(Path::new(name)));
        let bar = ProgressBar::with_draw_target(Some(1000), target).with_style(style);
        bar.set_prefix(if count > 1 { format!("{number}/{count} {name}") } else { name });
        bar
    }

    fn say(&self, line: &str) {
        eprintln!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_needs_a_known_name_and_a_strength_between_0_and_1() {
        assert_eq!(parse_step("denoise=0.5"), Ok(StepRequest { step: Step::Denoise, strength: 0.5 }));
        assert_eq!(parse_step("fade=0"), Ok(StepRequest { step: Step::Fade, strength: 0.0 }));
        for bad in ["denoise", "denoise=", "denoise=2", "denoise=-1", "denoise=nan", "sharpen=1", "=1", ""] {
            assert!(parse_step(bad).is_err(), "{bad}");
        }
        assert!(parse_step("sharpen=1").unwrap_err().contains("deblock, "));
    }

    #[test]
    fn extensions_follow_the_format_that_is_written() {
        let name =
            |name: &str, format, number| renamed(Path::new(name), format, number).display().to_string();
        assert_eq!(name("a/x.JPEG", Some(Format::Jpeg), 1), "a/x.JPEG");
        assert_eq!(name("a/x.gif", Some(Format::Png), 1), "a/x.png");
        assert_eq!(name("x", Some(Format::Tiff), 2), "x (2).tif");
        assert_eq!(name("x.old.jpg", None, 3), "x.old (3).jpg");
    }
}
