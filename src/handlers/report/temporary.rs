//! The file of a report before it is one: beside its place, under a name that no report can have.
//!
//! It gets its real name only when all of it is on disk, so that nobody ever reads half a report. Whatever happens
//! before, it goes away with its owner; what a killed process leaves is removed by the next attempt of the same event.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::name::Name;
use super::options::Format;

/// A file could not be brought to disk. What the system says is its source; an operator can mend most of it.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written; {advice}", .path.display())]
pub(super) struct Unwritten {
    path: PathBuf,
    advice: &'static str,
    source: io::Error,
}

impl Unwritten {
    /// With the path that the operator knows.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_owned(), advice: advice(&source), source }
    }
}

fn advice(error: &io::Error) -> &'static str {
    use io::ErrorKind as K;
    match error.kind() {
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge => "make room there, or give `directory` another place",
        K::ReadOnlyFilesystem | K::PermissionDenied => "let this user write there, or give `directory` another place",
        K::NotADirectory | K::AlreadyExists => "`directory` has to be a folder",
        K::IsADirectory => FOLDER,
        _ => "the next attempt tries again",
    }
}

const FOLDER: &str = "there is a folder of that name; remove or rename it";

/// Whose report it is.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// The record of the event that asks for it.
    pub record: Uuid,
    /// This attempt.
    pub attempt: Uuid,
}

/// A file that is removed when this is dropped, unless it was published.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    target: PathBuf,
    published: bool,
}

impl Temporary {
    /// Makes the file. It is new: what has this name already is never written through, whatever it links to.
    pub fn create(folder: &Path, name: &Name, format: Format, owner: &Owner) -> Result<(Self, File), Unwritten> {
        let extension = format.extension();
        let target = folder.join(format!("{name}.{extension}"));
        let path = folder.join(format!("{}{}.{extension}{TAIL}", head(name, owner.record), owner.attempt));
        let file = File::create_new(&path).map_err(Unwritten::at(&target))?;
        Ok((Self { path, target, published: false }, file))
    }

    /// The name that it will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Looks whether it can have its name: only a file, or a link, would be replaced.
    pub fn look(&self) -> Result<(), Unwritten> {
        let taken = |advice, source| Err(Unwritten { path: self.target.clone(), advice, source });
        match fs::symlink_metadata(&self.target).map(|found| found.file_type()) {
            Ok(found) if found.is_file() || found.is_symlink() => Ok(()),
            Ok(found) if found.is_dir() => taken(FOLDER, io::ErrorKind::IsADirectory.into()),
            Ok(_) => taken("remove or rename what has that name", io::Error::other("it is no file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Unwritten::at(&self.target)(error)),
        }
    }

    /// Gives it its name. A report of the same name is replaced, and so is a link: it is not followed.
    pub fn publish(mut self) -> Result<(), Unwritten> {
        fs::rename(&self.path, &self.target).map_err(Unwritten::at(&self.target))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs::remove_file(&self.path)
            // Else a later attempt has swept it.
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished report could not be removed");
        }
    }
}

const TAIL: &str = ".tmp";

/// What the names of all temporary files of one event begin with.
fn head(name: &Name, record: Uuid) -> String {
    format!(".{name}.{record}.")
}

/// Makes the folder if it is not there, in a way that survives a power cut.
pub(super) fn make_folder(folder: &Path) -> Result<(), Unwritten> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !is_there(folder)).collect();
    fs::create_dir_all(folder).map_err(Unwritten::at(folder))?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

fn is_there(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || folder.exists()
}

/// Brings the names in a folder to disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Unwritten> {
    let named = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(named).and_then(|folder| folder.sync_all()).map_err(Unwritten::at(named))
}

/// Removes what earlier attempts of this event have left. One that still runs finds its file gone, and fails.
pub(super) fn sweep(folder: &Path, name: &Name, record: Uuid) -> Result<(), Unwritten> {
    let head = head(name, record);
    for entry in fs::read_dir(folder).map_err(Unwritten::at(folder))? {
        let entry = entry.map_err(Unwritten::at(folder))?;
        let found = entry.file_name();
        if found.to_str().is_some_and(|found| found.starts_with(&head) && found.ends_with(TAIL)) {
            tracing::info!(path = %entry.path().display(), "removing what an earlier attempt has left of a report");
            fs::remove_file(entry.path()).map_err(Unwritten::at(folder))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::HandlerError;

    fn owner(record: u128, attempt: u128) -> Owner {
        Owner { record: Uuid::from_u128(record), attempt: Uuid::from_u128(attempt) }
    }

    fn create(folder: &Path, name: &str, owner: &Owner) -> Temporary {
        Temporary::create(folder, &Name::parse(name).unwrap(), Format::Csv, owner).unwrap().0
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_was_not_published_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = create(folder.path(), "a", &owner(1, 1));
        assert_eq!(files(folder.path()).len(), 1);
        drop(temporary);
        assert!(files(folder.path()).is_empty());
    }

    #[test]
    fn a_link_in_the_place_of_a_report_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (elsewhere, link) = (folder.path().join("elsewhere"), folder.path().join("a.csv"));
        fs::write(&elsewhere, "precious").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        create(folder.path(), "a", &owner(1, 1)).publish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "precious");
    }

    #[test]
    fn a_link_in_the_place_of_a_temporary_file_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "precious").unwrap();
        let planted = create(folder.path(), "a", &owner(1, 1)).path.clone();
        std::os::unix::fs::symlink(&elsewhere, &planted).unwrap();
        let refused = Temporary::create(folder.path(), &Name::parse("a").unwrap(), Format::Csv, &owner(1, 1));
        assert_eq!(refused.unwrap_err().source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "precious");
    }

    #[test]
    fn the_rest_of_earlier_attempts_of_the_same_event_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = vec![create(folder.path(), "a", &owner(2, 2)), create(folder.path(), "a.b", &owner(1, 3))];
        fs::write(folder.path().join("a.csv"), "").unwrap();
        let before = files(folder.path());
        kept.push(create(folder.path(), "a", &owner(1, 1)));
        sweep(folder.path(), &Name::parse("a").unwrap(), Uuid::from_u128(1)).unwrap();
        assert_eq!(files(folder.path()), before);
        // An attempt that still ran cannot publish any more.
        let swept = kept.pop().unwrap().publish().unwrap_err();
        assert_eq!(swept.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_cannot_be_written_says_where_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let below = make_folder(&file.join("reports")).map_err(HandlerError::from).unwrap_err();
        let says = format!("{} cannot be written; `directory` has to be a folder: ", file.join("reports").display());
        assert!(below.to_string().starts_with(&says), "{below}");
        fs::create_dir(folder.path().join("a.csv")).unwrap();
        let taken = create(folder.path(), "a", &owner(1, 1)).publish().map_err(HandlerError::from).unwrap_err();
        assert!(taken.to_string().contains("there is a folder of that name; remove or rename it"), "{taken}");
        // A file system in which not even root may make a file.
        let refused = Temporary::create(Path::new("/sys"), &Name::parse("a").unwrap(), Format::Csv, &owner(1, 1));
        let refused = HandlerError::from(refused.unwrap_err()).to_string();
        assert!(refused.starts_with("/sys/a.csv cannot be written; let this user write there, or give"), "{refused}");
    }

    #[test]
    fn folders_are_made_as_deep_as_they_are_named() {
        let folder = tempfile::tempdir().unwrap();
        make_folder(&folder.path().join("a/b/c")).unwrap();
        make_folder(&folder.path().join("a/b/c")).unwrap();
        assert!(folder.path().join("a/b/c").is_dir());
        make_folder(Path::new(".")).unwrap();
    }
}
