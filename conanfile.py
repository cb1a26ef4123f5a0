# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
from conan import ConanFile
from conan.tools.cmake import CMake, CMakeToolchain
from conan.tools.files import copy


class DeltanetConan(ConanFile):
    name = "deltanet"
    version = "0.1.0"
    license = "MIT"
    description = "Header-only C++20 delta-rule linear attention for inference engines"
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"io": [True, False]}
    default_options = {"io": True}
    exports_sources = "CMakeLists.txt", "LICENSE", "cmake/*", "include/*"
    no_copy_source = True
    generators = ("CMakeDeps",)

    def requirements(self):
        self.requires("eigen/3.4.0")
        self.requires("xsimd/13.0.0")
        if self.options.io:
            self.requires("nlohmann_json/3.11.3")

    def package_id(self):
        self.info.clear()

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCH"):
            toolchain.cache_variables[f"DELTANET_BUILD_{part}"] = False
        toolchain.cache_variables["DELTANET_ENABLE_IO"] = bool(self.options.io)
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, f"{self.package_folder}/licenses")

    def package_info(self):
        # The targets of our own CMake package, under the same names.
        self.cpp_info.set_property("cmake_file_name", "deltanet")
        core = self.cpp_info.components["deltanet"]
        core.set_property("cmake_target_name", "deltanet::deltanet")
        core.bindirs, core.libdirs = [], []
        core.requires = ["eigen::eigen", "xsimd::xsimd"]
        if self.options.io:
            io = self.cpp_info.components["io"]
            io.set_property("cmake_target_name", "deltanet::io")
            io.bindirs, io.libdirs = [], []
            io.requires = ["deltanet", "nlohmann_json::nlohmann_json"]
