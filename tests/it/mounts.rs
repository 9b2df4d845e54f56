//! Small file systems for the tests that need a disk to fill up, refuse writes or lose power. They take root;
//! without it the tests say so, loudly, and pass.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mounted file system that goes away with this value.
pub(crate) struct Mount {
    directory: tempfile::TempDir,
    image: Option<PathBuf>,
}

impl Mount {
    /// Mounts a file system in memory, or says loudly why not.
    pub(crate) fn in_memory(size_bytes: u64, test: &str) -> Option<Self> {
        let mount = Self { directory: tempfile::tempdir().unwrap(), image: None };
        let size = format!("size={size_bytes}");
        mount.try_mount(&["-t", "tmpfs", "-o", &size, "none"], test)
    }

    /// Mounts an ext4 file system in a file, or says loudly why not.
    pub(crate) fn ext4(size_bytes: u64, test: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("disk.img");
        std::fs::File::create(&image).unwrap().set_len(size_bytes).unwrap();
        if !run(Command::new("python3").arg("--version")) {
            skipped(test, "python3 is missing");
            return None;
        }
        if !run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image)) {
            skipped(test, "mkfs.ext4 is missing or failed");
            return None;
        }
        std::fs::create_dir(directory.path().join("disk")).unwrap();
        let mount = Self { directory, image: Some(image.clone()) };
        mount.try_mount(&["-o", "loop", image.to_str().unwrap()], test)
    }

    fn try_mount(self, arguments: &[&str], test: &str) -> Option<Self> {
        if !run(Command::new("mount").args(arguments).arg(self.path())) {
            skipped(test, "mounting takes root");
            return None;
        }
        Some(self)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        match self.image {
            Some(_) => self.directory.path().join("disk"),
            None => self.directory.path().to_owned(),
        }
    }

    /// Makes it read-only, as a failing disk does.
    pub(crate) fn make_read_only(&self) {
        assert!(run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path())), "remount read-only");
    }

    /// Prepares to cut the power without delay.
    pub(crate) fn power_switch(&self) -> PowerSwitch {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, as soon as the standard input ends.
        let script = "import fcntl, os, struct, sys\n\
                      disk = os.open(sys.argv[1], os.O_RDONLY)\n\
                      print('ready', flush=True)\n\
                      sys.stdin.read()\n\
                      fcntl.ioctl(disk, 0x8004587d, struct.pack('I', 2))";
        let mut helper = Command::new("python3")
            .args(["-c", script])
            .arg(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3, whose ioctl spares us unsafe code");
        helper.stdout.as_mut().expect("piped").read_exact(&mut [0; 6]).unwrap();
        PowerSwitch { helper }
    }

    /// Comes back after [`PowerSwitch::cut_power`]; nothing may be open on it.
    pub(crate) fn restore_power(&self) {
        let image = self.image.as_ref().expect("only a disk with an image comes back");
        assert!(run(Command::new("umount").arg(self.path())), "umount");
        assert!(run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(self.path())), "mount again");
    }
}

/// Cuts the power of a [`Mount::ext4`]: what was not yet written is gone, and every later write fails.
pub(crate) struct PowerSwitch {
    helper: Child,
}

impl PowerSwitch {
    /// Cuts it now, and returns when it is gone.
    pub(crate) fn cut_power(mut self) {
        drop(self.helper.stdin.take());
        assert!(self.helper.wait().unwrap().success(), "the shutdown ioctl");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

/// Whether a program ran and succeeded.
pub(crate) fn run(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Says that a test could not do its work here. Written past the capture of the test harness.
pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("\n!!!!  SKIPPED: {test}: {why}  !!!!\n\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// How many entries a directory has.
pub(crate) fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}
