#include "formats/field_tree.h"

#include <gtest/gtest.h>

#include <set>

namespace penstock::formats {
namespace {

cel::InputPath path(std::vector<std::string> segments, bool presence_only = false) {
  return {"msg", std::move(segments), presence_only};
}

// Keys are looked up where eight bytes can be read.
const FieldTree::Node* find(const FieldTree& tree, const FieldTree::Node& parent,
                            const std::string& key) {
  const std::string padded = key + std::string(8, '#');
  return tree.find_child(parent, std::string_view(padded).substr(0, key.size()));
}

TEST(FieldTree, FindsTheFieldsThatPathsNameAndNoOthers) {
  const std::vector<cel::InputPath> paths = {path({"id"}), path({"customer", "name"}),
                                             path({"customer", "address", "street"})};
  const FieldTree tree(paths);
  const auto* id = find(tree, tree.root(), "id");
  ASSERT_NE(id, nullptr);
  EXPECT_EQ(id->slot, 0U);
  EXPECT_EQ(id->path, "msg.id");
  const auto* customer = find(tree, tree.root(), "customer");
  ASSERT_NE(customer, nullptr);
  EXPECT_EQ(customer->slot, FieldTree::kNone);
  const auto* name = find(tree, *customer, "name");
  ASSERT_NE(name, nullptr);
  EXPECT_EQ(name->slot, 1U);
  EXPECT_EQ(name->depth, 2U);
  EXPECT_EQ(find(tree, tree.root(), "name"), nullptr);
  EXPECT_EQ(find(tree, tree.root(), "i"), nullptr);
  EXPECT_EQ(find(tree, tree.root(), "idd"), nullptr);
  EXPECT_EQ(find(tree, tree.root(), ""), nullptr);
  EXPECT_EQ(find(tree, *id, "id"), nullptr);
}

TEST(FieldTree, TellsKeysApartThatBeginAlike) {
  const std::vector<cel::InputPath> paths = {path({"customer_name"}),
                                             path({"customer_mail"}),
                                             path({"customer"}),
                                             path({"customer_name_long"}),
                                             path({""}),
                                             path({std::string("a\0", 2)}),
                                             path({"a"})};
  const FieldTree tree(paths);
  for (std::uint32_t slot = 0; slot < paths.size(); ++slot) {
    const auto* found = find(tree, tree.root(), paths[slot].segments[0]);
    ASSERT_NE(found, nullptr) << slot;
    EXPECT_EQ(found->slot, slot);
  }
  EXPECT_EQ(find(tree, tree.root(), "customer_nam"), nullptr);
  EXPECT_EQ(find(tree, tree.root(), "customer_name_"), nullptr);
}

TEST(FieldTree, KeepsASlotOnAnInnerNodeBesideItsChildren) {
  const std::vector<cel::InputPath> paths = {path({"a"}), path({"a", "b"}), path({}),
                                             path({"a", "c"}, true)};
  const FieldTree tree(paths);
  EXPECT_EQ(tree.root().slot, 2U);
  const auto* a = find(tree, tree.root(), "a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->slot, 0U);
  EXPECT_TRUE(a->has_children());
  const auto* c = find(tree, *a, "c");
  ASSERT_NE(c, nullptr);
  EXPECT_TRUE(c->presence_only);
}

TEST(FieldTree, ListsTheSlotsBelowANode) {
  const std::vector<cel::InputPath> paths = {path({"a"}), path({"a", "b"}), path({"a", "b", "c"}),
                                             path({"d"})};
  const FieldTree tree(paths);
  const auto below = [&tree](const FieldTree::Node& node) {
    const auto slots = tree.slots_below(node);
    return std::set<std::uint32_t>(slots.begin(), slots.end());
  };
  EXPECT_EQ(below(tree.root()), (std::set<std::uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(below(*find(tree, tree.root(), "a")), (std::set<std::uint32_t>{1, 2}));
  EXPECT_EQ(below(*find(tree, tree.root(), "d")), (std::set<std::uint32_t>{}));
  EXPECT_EQ(tree.slot_limit(), 4U);
}

TEST(FieldTree, TakesOnlyThePathsOfItsRoot) {
  std::vector<cel::InputPath> paths = {{"record", {"offset"}, false}, path({"id"})};
  const FieldTree tree(paths);
  EXPECT_EQ(find(tree, tree.root(), "offset"), nullptr);
  EXPECT_EQ(find(tree, tree.root(), "id")->slot, 1U);
}

TEST(FieldTree, ServesManyFieldsAndNone) {
  std::vector<cel::InputPath> paths;
  for (int i = 0; i < 500; ++i) paths.push_back(path({"field_" + std::to_string(i)}));
  const FieldTree tree(paths);
  for (std::uint32_t i = 0; i < 500; ++i) {
    EXPECT_EQ(find(tree, tree.root(), "field_" + std::to_string(i))->slot, i);
  }
  EXPECT_EQ(find(tree, tree.root(), "field_500"), nullptr);
  const FieldTree empty({});
  EXPECT_EQ(find(empty, empty.root(), "id"), nullptr);
}

}  // namespace
}  // namespace penstock::formats
