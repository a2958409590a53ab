//! The world that a component is made for, in the project's own contract.
//!
//! A linker drops what a module does not call. Python and JavaScript have
//! none: what their world imports, the component imports. So they get a world
//! of their own, with the interfaces that the manifest asks for.

use std::fs;
use std::path::Path;

use crate::Error;
use crate::project::Project;

/// Name of the world that is made.
pub(crate) const NAME: &str = "component";

/// Copies the project's contract to `folder` and adds the world.
pub(crate) fn write(project: &Project, folder: &Path) -> Result<(), Error> {
    project.copy_wit(folder)?;
    let text = world(&project.interfaces());
    fs::write(folder.join("made-for-this-component.wit"), text)
        .map_err(|error| Error::Build(error.to_string()))
}

fn world(interfaces: &[&str]) -> String {
    let mut text = format!("world {NAME} {{\n");
    for interface in interfaces {
        text.push_str(&format!("  import {interface};\n"));
    }
    text.push_str("  export handler;\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::world;

    #[test]
    fn a_world_imports_what_is_asked_for_and_exports_the_handler() {
        assert_eq!(
            world(&["engram", "log"]),
            "world component {\n  import engram;\n  import log;\n  export handler;\n}\n"
        );
    }
}
