//! The paths and what each is: the table of the API, the files of the page, the paths of streams.

pub(crate) mod assets;
pub(crate) mod own;
pub(crate) mod stream_path;
pub(crate) mod table;
pub(crate) mod template;
