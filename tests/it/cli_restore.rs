//! `safelight restore`: the real program on real folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safelight::imaging::{self, Channels, EncodeOptions, Format};
use serde_json::Value;

use super::photographs::{exif, gif, mask, noisy_jpeg, scene};

/// A folder to work in, which the program is started in.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn restore(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command.current_dir(self.0.path()).arg("restore").args(args).output().unwrap()
    }

    /// Every file below, relative and sorted.
    fn files(&self, folder: &str) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let (root, mut found) = (self.path(folder), Vec::new());
        walk(&root, &root, &mut found);
        found.sort();
        found
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A step that always changes something, so that results differ from their originals.
const CHANGE: [&str; 2] = ["--step", "local_contrast=1"];

#[test]
fn one_photo_becomes_one_file_of_its_own_format() {
    let desk = Desk::new();
    let options = EncodeOptions { exif: Some(exif(8)), ..EncodeOptions::new(Format::Jpeg) };
    let photo = imaging::encode(&scene(160, 120, Channels::Rgb, 8, 14.0), &options).unwrap();
    desk.put("old.jpg", &photo);
    let output = desk.restore(&["old.jpg", "-o", "new.jpg", "--preset", "strong", "-j", "1"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(output.stdout.is_empty());
    assert!(said(&output).contains("old.jpg -> new.jpg: restored (") && said(&output).contains("denoise"));
    let restored = fs::read(desk.path("new.jpg")).unwrap();
    assert_ne!(restored, photo);
    let probe = imaging::probe_bytes(&restored).unwrap();
    assert_eq!((probe.format, probe.orientation.to_exif()), (Format::Jpeg, 8));
    assert_eq!(probe.metadata.camera_make.as_deref(), Some("Voigtl."));
    assert_eq!(fs::read(desk.path("old.jpg")).unwrap(), photo);
    assert_eq!(desk.files("."), ["new.jpg", "old.jpg"], "nothing temporary is left");
}

#[test]
fn a_photo_that_needs_nothing_is_copied_byte_by_byte() {
    let desk = Desk::new();
    desk.put("a.gif", gif(1));
    desk.put("b.jpg", noisy_jpeg());
    let output = desk.restore(&["a.gif", "b.jpg", "-o", "out", "--step", "inpaint=1", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(desk.files("out"), ["a.gif", "b.jpg"]);
    assert_eq!(fs::read(desk.path("out/a.gif")).unwrap(), gif(1));
    assert_eq!(fs::read(desk.path("out/b.jpg")).unwrap(), noisy_jpeg());
    let lines = lines(&output);
    assert_eq!(lines[0]["outcome"], "unchanged");
    assert_eq!(lines[0]["output"], "out/a.gif");
    assert_eq!(lines[0]["report"][0]["decision"], "skipped");
    assert!(said(&output).contains("0 restored, 2 unchanged, 0 failed"), "{}", said(&output));
}

#[test]
fn a_folder_is_restored_with_the_folders_in_it() {
    let desk = Desk::new();
    let png =
        imaging::encode(&scene(90, 60, Channels::Gray, 16, 9.0), &EncodeOptions::new(Format::Png)).unwrap();
    desk.put("album/one.JPG", noisy_jpeg());
    desk.put("album/1931/deep/two.png", png);
    desk.put("album/1931/three.gif", gif(1));
    desk.put("album/no-extension", noisy_jpeg());
    desk.put("album/notes.txt", "not a picture");
    desk.put("album/.hidden.jpg", noisy_jpeg());
    let output = desk.restore(&[&["album", "-o", "album/out/"][..], &CHANGE].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        desk.files("album/out"),
        ["1931/deep/two.png", "1931/three.png", "no-extension.jpg", "one.JPG"]
    );
    let two = imaging::probe_bytes(&fs::read(desk.path("album/out/1931/deep/two.png")).unwrap()).unwrap();
    assert_eq!(two.bit_depth, 16);
    // What the first run has made is not restored again by the second.
    let output = desk.restore(&[&["album", "-o", "album/out"][..], &CHANGE].concat());
    assert!(said(&output).contains("4 restored, 0 unchanged, 0 failed"), "{}", said(&output));
}

#[test]
fn a_bad_file_in_the_middle_does_not_stop_the_others() {
    let desk = Desk::new();
    let whole = noisy_jpeg();
    desk.put("a.jpg", &whole);
    desk.put("b.jpg", &whole[..whole.len() / 2]);
    desk.put("c.jpg", "<!DOCTYPE html><p>not a photo");
    desk.put("d.gif", gif(4));
    desk.put("e.jpg", &whole);
    let inputs =
        ["a.jpg", "b.jpg", "c.jpg", "d.gif", "missing.jpg", "empty", "e.jpg", "-o", "out/", "--json"];
    fs::create_dir(desk.path("empty")).unwrap();
    let output = desk.restore(&[&inputs[..], &CHANGE].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(desk.files("out"), ["a.jpg", "e.jpg"]);
    let lines = lines(&output);
    let codes: Vec<&str> = lines.iter().map(|line| line["error"]["code"].as_str().unwrap_or("-")).collect();
    assert_eq!(codes, ["-", "truncated", "not-a-picture", "animated", "not-read", "not-read", "-"]);
    assert!(lines[1]["output"].is_null() && lines[1]["outcome"].is_null());
    assert_eq!(lines[6]["outcome"], "restored");
    assert_eq!((&lines[6]["format"], &lines[6]["width"]), (&Value::from("jpeg"), &Value::from(200)));
    let said = said(&output);
    assert!(said.contains("error: b.jpg: The JPEG file is cut off: its end is missing."), "{said}");
    assert!(said.contains("error: missing.jpg: There is no such file."), "{said}");
    assert!(said.contains("2 restored, 0 unchanged, 5 failed"), "{said}");
}

#[test]
fn originals_are_never_overwritten() {
    let desk = Desk::new();
    desk.put("photo.jpg", noisy_jpeg());
    desk.put("more/photo.jpg", noisy_jpeg());
    std::os::unix::fs::symlink(desk.path("photo.jpg"), desk.path("link.jpg")).unwrap();
    fs::hard_link(desk.path("photo.jpg"), desk.path("twin.jpg")).unwrap();
    desk.put("mask.png", mask(200, 150));
    for args in [
        &["photo.jpg", "-o", "photo.jpg"][..],
        &["photo.jpg", "-o", "."],
        &["photo.jpg", "-o", "link.jpg"],
        &["photo.jpg", "-o", "twin.jpg"],
        &["more", "-o", "more"],
        &["photo.jpg", "more/photo.jpg", "-o", "more/"],
        &["photo.jpg", "--mask", "mask.png", "-o", "mask.png"],
    ] {
        let output = desk.restore(&[args, &CHANGE].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains("never overwritten"), "{}", said(&output));
    }
    assert_eq!(desk.files("."), ["link.jpg", "mask.png", "more/photo.jpg", "photo.jpg", "twin.jpg"]);
    assert_eq!(fs::read(desk.path("photo.jpg")).unwrap(), noisy_jpeg());
}

#[test]
fn wrong_usage_is_told_before_anything_is_done() {
    let desk = Desk::new();
    desk.put("a.jpg", noisy_jpeg());
    desk.put("b.jpg", noisy_jpeg());
    desk.put("mask.png", mask(200, 150));
    for (args, word) in [
        (&["a.jpg"][..], "--output"),
        (&["-o", "out"], "INPUT"),
        (&["a.jpg", "-o", "x.jpg", "--preset", "best"], "best"),
        (&["a.jpg", "-o", "x.jpg", "--step", "sharpen=1"], "there is no step"),
        (&["a.jpg", "-o", "x.jpg", "--step", "colorize=1"], "no step colorize"),
        (&["a.jpg", "-o", "x.jpg", "--step", "denoise=7"], "from 0 to 1"),
        (&["a.jpg", "-o", "x.jpg", "--step", "denoise"], "denoise=0.5"),
        (&["a.jpg", "-o", "x.jpg", "--format", "gif"], "gif"),
        (&["a.jpg", "-o", "x.jpg", "-j", "0"], "0"),
        (&["a.jpg", "-o", "x.gif"], "GIF"),
        (&["a.jpg", "-o", "x.png", "--format", "jpeg"], "--format says JPEG"),
        (&["a.jpg", "b.jpg", "-o", "x/", "--mask", "mask.png"], "single"),
        (&["a.jpg", "-o", "x.jpg", "--mask", "missing.png"], "missing.png"),
        (&["a.jpg", "b.jpg", "-o", "mask.png"], "need a folder"),
    ] {
        let output = desk.restore(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(word), "{args:?}: {}", said(&output));
    }
    assert_eq!(desk.files("."), ["a.jpg", "b.jpg", "mask.png"]);
}

#[test]
fn a_folder_that_is_missing_is_made_for_many_and_told_for_one() {
    let desk = Desk::new();
    desk.put("a.jpg", noisy_jpeg());
    let output = desk.restore(&[&["a.jpg", "-o", "new/deep/"][..], &CHANGE].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(desk.files("new"), ["deep/a.jpg"]);
    let output = desk.restore(&[&["a.jpg", "-o", "nowhere/x.jpg"][..], &CHANGE].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("The folder nowhere does not exist."), "{}", said(&output));
    assert!(!desk.path("nowhere").exists());
}

#[test]
fn steps_change_the_preset_or_are_all() {
    let desk = Desk::new();
    desk.put("a.jpg", noisy_jpeg());
    let steps = |args: &[&str]| -> Vec<String> {
        let output = desk.restore(&[&["a.jpg", "-o", "x.jpg", "--json"], args].concat());
        assert!(output.status.success(), "{}", said(&output));
        let line = lines(&output).remove(0);
        let steps = line["steps"].as_array().unwrap().iter();
        steps.map(|step| format!("{}={}", step["step"].as_str().unwrap(), step["strength"])).collect()
    };
    assert_eq!(steps(&["--step", "fade=0.5"]), ["fade=0.5"]);
    assert_eq!(steps(&["--step", "fade=0"]), [""; 0]);
    let changed =
        steps(&["--preset", "strong", "--step", "fade=0.5", "--step", "chroma=0", "--step", "deblur=0.25"]);
    let wanted = ["deblock=1.0", "descreen=1.0", "inpaint=1.0", "denoise=1.0", "fade=0.5", "deblur=0.25"];
    assert_eq!(changed, wanted);
    assert!(steps(&[]).iter().any(|step| step.starts_with("denoise=")));
}

#[test]
fn a_mask_says_where_to_fill() {
    let desk = Desk::new();
    desk.put("a.jpg", noisy_jpeg());
    desk.put("mask.png", mask(200, 150));
    desk.put("small.png", mask(60, 40));
    let output = desk.restore(&["a.jpg", "-o", "x.png", "--mask", "mask.png", "--step", "fade=0", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let line = &lines(&output)[0];
    assert_eq!(
        (&line["report"][0]["step"], &line["report"][0]["decision"]),
        (&"inpaint".into(), &"applied".into())
    );
    let output = desk.restore(&["a.jpg", "-o", "y.png", "--mask", "small.png"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("The mask is 60 x 40 pixels but the picture is 200 x 150."),
        "{}",
        said(&output)
    );
}

#[test]
fn another_format_is_written_when_it_is_asked_for() {
    let desk = Desk::new();
    desk.put("a.jpg", noisy_jpeg());
    for (format, name) in [("png", "a.png"), ("webp", "a.webp"), ("tiff", "a.tif"), ("jpeg", "a.jpg")] {
        let output = desk.restore(&["a.jpg", "-o", "out/", "--format", format, "--step", "inpaint=1"]);
        assert!(output.status.success(), "{}", said(&output));
        let bytes = fs::read(desk.path("out").join(name)).unwrap();
        assert_eq!(imaging::probe_bytes(&bytes).unwrap().format, imaging::Format::sniff(&bytes).unwrap());
        assert_eq!(bytes == noisy_jpeg(), format == "jpeg", "{format}");
    }
    // The name of a single file says it too.
    assert!(desk.restore(&["a.jpg", "-o", "b.PNG", "--step", "inpaint=1"]).status.success());
    assert_eq!(imaging::Format::sniff(&fs::read(desk.path("b.PNG")).unwrap()), Some(Format::Png));
    // Gray with a profile becomes colour that needs none.
    let icc = moxcms::ColorProfile::new_gray_with_gamma(1.8).encode().unwrap();
    let options = EncodeOptions { icc: Some(icc), ..EncodeOptions::new(Format::Png) };
    desk.put("gray.png", imaging::encode(&scene(80, 60, Channels::Gray, 8, 5.0), &options).unwrap());
    assert!(desk.restore(&["gray.png", "-o", "gray.webp", "--step", "inpaint=1"]).status.success());
    assert!(!imaging::probe_bytes(&fs::read(desk.path("gray.webp")).unwrap()).unwrap().has_icc);
}

#[test]
fn equal_names_from_several_folders_get_numbers() {
    let desk = Desk::new();
    desk.put("x/photo.jpg", noisy_jpeg());
    desk.put("y/photo.jpg", noisy_jpeg());
    desk.put("z/photo.jpg", noisy_jpeg());
    let output = desk.restore(&["x/photo.jpg", "y", "z", "-o", "out", "--step", "inpaint=1"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(desk.files("out"), ["photo (2).jpg", "photo (3).jpg", "photo.jpg"]);
}

#[test]
fn a_wrong_extension_is_put_right() {
    let desk = Desk::new();
    let png =
        imaging::encode(&scene(80, 60, Channels::Rgb, 8, 5.0), &EncodeOptions::new(Format::Png)).unwrap();
    desk.put("photo.jpg", png);
    assert!(desk.restore(&[&["photo.jpg", "-o", "out/"][..], &CHANGE].concat()).status.success());
    assert_eq!(desk.files("out"), ["photo.png"]);
}

#[test]
fn a_folder_that_can_not_be_written_is_told() {
    let desk = Desk::new();
    desk.put("a.jpg", noisy_jpeg());
    let locked = desk.path("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(locked.join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let output = desk.restore(&[&["a.jpg", "-o", "locked/"][..], &CHANGE].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("locked/a.jpg can't be written"), "{}", said(&output));
}

#[test]
fn a_file_of_presets_runs_in_its_own_order_and_its_mistakes_are_told() {
    let desk = Desk::new();
    desk.put("old.jpg", noisy_jpeg());
    desk.put(
        "attic.toml",
        "[[preset]]\ntitle = \"Attic\"\nsteps = [{ step = \"local_contrast\", strength = 0.5 }, { preset = \"dust\" }]\n\
         [[preset]]\ntitle = \"Dust\"\nsteps = [{ step = \"inpaint\" }, { preset = \"quick\" }, { step = \"denoise\" }]\n",
    );
    let output =
        desk.restore(&["old.jpg", "-o", "new.jpg", "--preset", "attic.toml", "--step", "fade=0", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = &lines(&output)[0];
    assert_eq!(told["preset"], "attic");
    let run: Vec<_> =
        told["report"].as_array().unwrap().iter().map(|it| it["step"].as_str().unwrap()).collect();
    assert_eq!(run, ["local_contrast", "inpaint", "deblock", "denoise"]);
    assert!(imaging::probe_bytes(&fs::read(desk.path("new.jpg")).unwrap()).is_ok());
    for (text, why) in [
        ("title = 1", "no file of presets"),
        ("[[preset]]\ntitle = \"a\"\nsteps = [{ step = \"enhance\", model = \"gfpgan\" }]", "gfpgan"),
        ("[[preset]]\ntitle = \"a\"\nsteps = [{ preset = \"a\" }]", "circle"),
    ] {
        desk.put("bad.toml", text);
        let output = desk.restore(&["old.jpg", "-o", "never.jpg", "--preset", "bad.toml"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    let output = desk.restore(&["old.jpg", "-o", "never.jpg", "--preset", "best"]);
    assert!(output.status.code() == Some(2) && said(&output).contains("gentle"), "{}", said(&output));
}
