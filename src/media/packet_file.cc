// SPDX-License-Identifier: Apache-2.0
#include "media/packet_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "media/av.h"

namespace upres {
namespace {

constexpr size_t kWaiting = size_t(1) << 20;  // bytes that are written at once

struct Header {
  int64_t pts;
  int64_t dts;
  int64_t duration;
  uint32_t flags;
  uint32_t bytes;
  uint32_t side_data;
  uint32_t unused = 0;
};

struct SideHeader {
  uint32_t type;
  uint32_t bytes;
};

}  // namespace

PacketFileWriter::PacketFileWriter(const std::filesystem::path& path, int64_t bytes)
    : path_(path), bytes_(bytes) {
  descriptor_ = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor_ < 0 || ::ftruncate(descriptor_, bytes) != 0 ||
      ::lseek(descriptor_, bytes, SEEK_SET) != bytes) {
    const int error = errno;
    if (descriptor_ >= 0) ::close(descriptor_);
    fail_writing(error);
  }
}

PacketFileWriter::~PacketFileWriter() {
  ::close(descriptor_);
}

void PacketFileWriter::fail_writing(int error) const {
  fail(ErrorCode::output, "cannot write {}: {}", path_.string(), std::strerror(error));
}

void PacketFileWriter::put(const void* data, size_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  waiting_.insert(waiting_.end(), from, from + bytes);
  if (waiting_.size() >= kWaiting) flush();
}

void PacketFileWriter::flush() {
  for (size_t at = 0; at < waiting_.size();) {
    const ssize_t written = ::write(descriptor_, waiting_.data() + at, waiting_.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_writing(errno);
    at += size_t(written);
  }
  bytes_ += int64_t(waiting_.size());
  waiting_.clear();
}

void PacketFileWriter::write(const FilmPacket& packet) {
  const AVPacket& av = *packet.av;
  const Header header{.pts = packet.pts,
                      .dts = packet.dts,
                      .duration = av.duration,
                      .flags = uint32_t(av.flags),
                      .bytes = uint32_t(av.size),
                      .side_data = uint32_t(av.side_data_elems)};
  put(&header, sizeof(header));
  put(av.data, size_t(av.size));
  for (int i = 0; i < av.side_data_elems; ++i) {
    const AVPacketSideData& one = av.side_data[i];
    const SideHeader side{uint32_t(one.type), uint32_t(one.size)};
    put(&side, sizeof(side));
    put(one.data, one.size);
  }
}

int64_t PacketFileWriter::sync() {
  flush();
  if (::fdatasync(descriptor_) != 0) fail_writing(errno);
  return bytes_;
}

PacketFileReader::PacketFileReader(const std::filesystem::path& path, int64_t bytes)
    : path_(path), end_(bytes) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0 || status.st_size < bytes) {
    if (descriptor_ >= 0) ::close(descriptor_);
    fail(ErrorCode::output, "{} is not what an interrupted run left; begin anew with --overwrite",
         path.string());
  }
}

PacketFileReader::~PacketFileReader() {
  ::close(descriptor_);
}

void PacketFileReader::get(void* data, size_t bytes) {
  auto* to = static_cast<std::byte*>(data);
  for (size_t got = 0; got < bytes;) {
    const ssize_t count = ::pread(descriptor_, to + got, bytes - got, at_);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      fail(ErrorCode::output, "cannot read {}: {}", path_.string(),
           count < 0 ? std::strerror(errno) : "it ends too early");
    }
    got += size_t(count);
    at_ += count;
  }
}

std::optional<FilmPacket> PacketFileReader::next() {
  if (at_ >= end_) return std::nullopt;
  Header header{};
  get(&header, sizeof(header));
  Av<AVPacket> packet = new_av_packet();
  if (int64_t(header.bytes) > end_ - at_ || av_new_packet(packet.get(), int(header.bytes)) < 0) {
    throw std::bad_alloc();
  }
  packet->pts = header.pts;
  packet->dts = header.dts;
  packet->duration = header.duration;
  packet->flags = int(header.flags);
  get(packet->data, header.bytes);
  for (uint32_t i = 0; i < header.side_data; ++i) {
    SideHeader side{};
    get(&side, sizeof(side));
    uint8_t* data =
        av_packet_new_side_data(packet.get(), AVPacketSideDataType(side.type), side.bytes);
    get(require(data), side.bytes);
  }
  return FilmPacket{std::move(packet), header.pts, header.dts};
}

}  // namespace upres
