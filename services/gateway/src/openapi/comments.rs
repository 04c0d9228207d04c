//! The comments of the protos, by where they stand.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Comments by file and path of the element.
pub struct Comments(HashMap<String, HashMap<Vec<i32>, String>>);

impl Comments {
    /// Collects the comments before each element.
    pub fn read(pool: &DescriptorPool) -> Self {
        let of = |file: FileDescriptor| {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            let locations = info.map(|i| i.location.as_slice()).unwrap_or_default();
            let comments = locations.iter().filter_map(|location| {
                let text = tidy(location.leading_comments.as_deref()?);
                (!text.is_empty()).then(|| (location.path.clone(), text))
            });
            (file.name().to_owned(), comments.collect())
        };
        Self(pool.files().map(of).collect())
    }

    /// The comment before the element at `path` of a file; empty when there is none.
    pub fn of(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.0
            .get(file.name())
            .and_then(|f| f.get(path))
            .map_or("", String::as_str)
    }
}

/// One line a paragraph.
fn tidy(comment: &str) -> String {
    let mut out = String::new();
    for line in comment.lines().map(str::trim) {
        if line.is_empty() {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
        } else {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push(' ');
            }
            out.push_str(line);
        }
    }
    out.trim_end().to_owned()
}
