// SPDX-License-Identifier: Apache-2.0
#include "fetch/url.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace upres {
namespace {

TEST(CheckUrl, TakesHttpsOnly) {
  EXPECT_NO_THROW(check_url("https://example.org/a.pth"));
  EXPECT_NO_THROW(check_url("HTTPS://example.org:8443/a.pth?x=1"));
  for (const char* url : {"http://example.org/a.pth", "ftp://example.org/a.pth",
                          "file:///etc/passwd", "gopher://example.org/a", "//example.org/a.pth"}) {
    EXPECT_TRUE(test::fails(ErrorCode::usage, url, [&] { check_url(url); })) << url;
  }
  for (const char* url : {"", "https://", "https:// /a", "https://example.org:99999/a"}) {
    EXPECT_TRUE(test::fails(ErrorCode::usage, "", [&] { check_url(url); })) << url;
  }
}

TEST(FileNameOf, IsTheLastPart) {
  EXPECT_EQ(file_name_of("https://example.org/a/b/model.pth"), "model.pth");
  EXPECT_EQ(file_name_of("https://example.org/model.pth?download=true&name=../x"), "model.pth");
  EXPECT_EQ(file_name_of("https://example.org/model.pth#part"), "model.pth");
  EXPECT_EQ(file_name_of("https://example.org/a%20model%281%29.pth"), "a model(1).pth");
  EXPECT_EQ(file_name_of("https://example.org/361779"), "361779");
  EXPECT_EQ(file_name_of("https://example.org/a/../../b.pth"), "b.pth");
}

TEST(FileNameOf, IsAPlainNameOrRefused) {
  for (const char* end : {"", "a/", "..", ".", "%2e%2e", "..%2f..%2fx.pth", "..%5cx.pth",
                          "a%2fb.pth", "%2fetc%2fpasswd", "a%00b.pth", "a%0ab.pth", "%1b%5b2J",
                          ".bashrc", "-rf", "a.pth.part", "a.pth.part.json"}) {
    const std::string url = std::string("https://example.org/models/") + end;
    if (url.ends_with("/..") || url.ends_with("/.")) continue;  // libcurl takes them away
    EXPECT_TRUE(test::fails(ErrorCode::usage, "a name for a file", [&] { file_name_of(url); }))
        << url << " gave " << file_name_of(url);
  }
  const std::string longest(200, 'a');
  EXPECT_EQ(file_name_of("https://example.org/" + longest), longest);
  EXPECT_THROW(file_name_of("https://example.org/a" + longest), Error);
}

}  // namespace
}  // namespace upres
