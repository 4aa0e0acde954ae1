//! Where results go.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::{Failure, Result};
use crate::repl::pager;

/// Takes the bytes of one result.
pub(crate) type Writer = Box<dyn Write + Send>;

/// Where results go.
#[derive(Debug)]
pub(crate) enum Place {
    /// Standard output.
    Stdout,
    /// The terminal, through this pager where a result is tall.
    Pager(String),
    /// A file that appears when all is written.
    File {
        /// Its path.
        path: PathBuf,
        /// Where it is written meanwhile.
        temporary: NamedTempFile,
    },
}

impl Place {
    /// The file of this path.
    pub(crate) fn file(path: &Path) -> Result<Self> {
        let failed = |error: &std::io::Error| Failure::io(format_args!("write {path:?}"), error);
        if path.is_dir() {
            return Err(Failure::Usage(format!("{path:?} is a folder")));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".boathouse-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder.tempfile_in(folder).map_err(|error| failed(&error))?;
        Ok(Self::File { path: path.to_owned(), temporary })
    }

    /// Whether it is a file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// Whether a person looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => std::io::stdout().is_terminal(),
            Self::Pager(_) => true,
            Self::File { .. } => false,
        }
    }

    /// For the next result, behind the earlier ones.
    pub(crate) fn writer(&self) -> Result<Writer> {
        Ok(match self {
            Self::Stdout => Box::new(BufWriter::with_capacity(64 << 10, std::io::stdout())),
            Self::Pager(command) => Box::new(pager::Paged::new(command.clone())),
            Self::File { path, temporary } => {
                let file = temporary.as_file().try_clone();
                let file =
                    file.map_err(|error| Failure::io(format_args!("write {path:?}"), &error))?;
                Box::new(BufWriter::with_capacity(64 << 10, file))
            }
        })
    }

    /// Puts a file in its place.
    pub(crate) fn commit(self) -> Result<()> {
        if let Self::File { path, temporary } = self {
            let persisted = temporary.persist(&path);
            persisted.map_err(|error| Failure::io(format_args!("write {path:?}"), &error.error))?;
        }
        Ok(())
    }
}
