"""A recipe for Conan 2: `conan create clients/c` builds both libraries from this checkout, with cargo, cc and binutils."""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, load


class ParlorConan(ConanFile):
    name = "parlor"
    description = "parlor for C and C++: a client, WebSockets of any server, and a server within a program"
    license = "MIT OR Apache-2.0"
    settings = "os", "arch"
    options = {"shared": [True, False], "server": [True, False]}
    default_options = {"shared": False, "server": True}
    no_copy_source = True

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder, "Cargo.toml"))
        self.version = re.search(r'^version = "(.*)"', text, re.M).group(1)

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("it was made and tried on Linux alone")

    def export_sources(self):
        # The library is a package below the server's, and is built from both.
        root, here = os.path.join(self.recipe_folder, "../.."), self.export_sources_folder
        for pattern in ("Cargo.toml", "Cargo.lock", "src/*", "web/*", "benches/*.rs", "examples/*.rs", "examples/*/*.rs", "tests/*.rs", "tests/*/*.rs", "tests/loom/Cargo.toml", "docs/*.md", "docs/openapi.json", "README.md"):
            copy(self, pattern, root, here)
        for pattern in ("Cargo.toml", "*.sh", "src/*", "include/*", "packaging/*"):
            copy(self, pattern, self.recipe_folder, os.path.join(here, "clients/c"))

    def parts(self):
        return "client server" if self.options.server else "client"

    def build(self):
        # What was compiled before may be used again: CARGO_TARGET_DIR.
        target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(self.build_folder, "target")
        script = os.path.join(self.source_folder, "clients/c/build.sh")
        self.run(f'CARGO_TARGET_DIR="{target}" sh "{script}" "{self.build_folder}/built" {self.parts()}')

    def package(self):
        script = os.path.join(self.source_folder, "clients/c/install.sh")
        self.run(f'sh "{script}" "{self.build_folder}/built" "{self.package_folder}" {self.parts()}')

    def package_info(self):
        # The package has a parlorConfig.cmake of its own.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/parlor"]
        suffix = "shared" if self.options.shared else "static"
        for name, component in (("parlor", "client"), ("parlor-server", "server")):
            if component == "server" and not self.options.server:
                continue
            self.cpp_info.components[component].libs = [name if suffix == "shared" else f":lib{name}.a"]
            self.cpp_info.components[component].system_libs = ["pthread", "dl", "m"]
            self.cpp_info.components[component].set_property("pkg_config_name", name)
