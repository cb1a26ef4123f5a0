// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the deltanet authors
/// A file as read-only memory: weights are used where they lie in the page cache, so a checkpoint
/// costs no copy and processes that open the same one share its pages. POSIX only.
#pragma once

#if !defined(__unix__) && !(defined(__APPLE__) && defined(__MACH__))
#error "deltanet: MappedFile needs POSIX mmap; on other systems hand bytes to parse_safetensors"
#endif

#include <deltanet/error.hpp>

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace deltanet {

/// A whole file mapped for reading; movable, not copyable. The bytes keep their address when the
/// object is moved and are gone when it is destroyed. Reading from several threads is safe.
///
/// The mapping shows the file, not a copy. If another process writes to the file, the bytes may
/// change; if it cuts the file short, touching a page behind the new end raises SIGBUS, which ends
/// the process unless the program handles it. Nothing here can catch that: replace checkpoints by
/// renaming a new file over the old one (the mapping keeps the old one), never in place.
class MappedFile {
  public:
    /// No file, no bytes.
    MappedFile() noexcept = default;

    /// Maps `path`, symbolic links followed. An empty file is fine. Throws `Error` with the path
    /// and the system's reason if it cannot be opened or mapped, and for anything but a regular
    /// file.
    [[nodiscard]] static MappedFile open(const std::filesystem::path& path);

    MappedFile(MappedFile&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

    MappedFile& operator=(MappedFile&& other) noexcept {
        MappedFile old(std::move(other));
        std::swap(data_, old.data_);
        std::swap(size_, old.size_);
        return *this;
    }

    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    ~MappedFile() {
        if (data_ != nullptr) ::munmap(data_, size_);
    }

    /// All bytes of the file, from a page boundary; empty for an empty file and after a move.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return {static_cast<const std::byte*>(data_), size_};
    }

  private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

/// Closes the descriptor of a file when done with it, or when something fails.
class FileDescriptor {
  public:
    explicit FileDescriptor(int number) noexcept : number_(number) {}
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor() {
        if (number_ >= 0) ::close(number_);
    }
    [[nodiscard]] int number() const noexcept { return number_; }

  private:
    int number_;
};

/// Ends the call with the system's reason for what just failed.
[[noreturn]] inline void fail_system(std::string_view function, std::string_view argument,
                                     std::string_view expected) {
    const std::error_code reason(errno, std::generic_category());
    fail(function, argument, expected, reason.message());
}

}  // namespace detail

inline MappedFile MappedFile::open(const std::filesystem::path& path) {
    const char* const where = "MappedFile::open";
    const std::string name = path.string();
    if (name.find('\0') != std::string::npos) {
        detail::fail(where, name.c_str(), "a path", "a zero byte in it");
    }
    // O_NONBLOCK: a pipe without a writer is refused below instead of waited for.
    const detail::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.number() < 0) detail::fail_system(where, name, "a readable file");
    struct stat status {};
    if (::fstat(file.number(), &status) != 0)
        detail::fail_system(where, name, "a file with a size");
    if (!S_ISREG(status.st_mode)) {
        detail::fail(where, name, "a regular file",
                     S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket");
    }
    MappedFile mapped;
    if (status.st_size == 0) return mapped;  // mmap refuses to map nothing
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
    if (data == MAP_FAILED) detail::fail_system(where, name, "a file that can be mapped");
    mapped.data_ = data;
    mapped.size_ = size;
    return mapped;
}

}  // namespace deltanet
