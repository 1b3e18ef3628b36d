// What is published says where it comes from: the repository that the release workflow runs in, and links that lead there.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { links } from "../../tooling/markdown.mjs";
import { describedBy, isAbsolute, repositoryOf, withAbsoluteLinks } from "../../tooling/package/repository.mjs";
import { ROOT } from "../../tooling/setup.mjs";

const ENV = {
  GITHUB_SERVER_URL: "https://git.example",
  GITHUB_REPOSITORY: "someone/redis-store",
  GITHUB_REF_TYPE: "tag",
  GITHUB_REF_NAME: "v1.2.3",
  GITHUB_SHA: "0123456789abcdef0123456789abcdef01234567",
};
const repository = repositoryOf(ENV);

describe("the repository", () => {
  it("is the one that the workflow runs in, at the tag that is released", () => {
    expect(repository).toEqual({ url: "https://git.example/someone/redis-store", revision: "v1.2.3" });
  });

  it("is at the commit where no tag is released", () => {
    expect(repositoryOf({ ...ENV, GITHUB_REF_TYPE: "branch", GITHUB_REF_NAME: "main" }).revision).toBe(ENV.GITHUB_SHA);
  });

  it("is unknown outside of a workflow", () => {
    expect(repositoryOf({})).toBe(undefined);
  });

  it.each([
    [{ GITHUB_REPOSITORY: "someone" }, "GITHUB_REPOSITORY has to be OWNER/NAME, and is someone"],
    [{ GITHUB_REPOSITORY: "some one/redis" }, "GITHUB_REPOSITORY has to be OWNER/NAME"],
    [{ GITHUB_REPOSITORY: undefined }, "and is not set"],
    [{ GITHUB_SERVER_URL: "http://git.example" }, "GITHUB_SERVER_URL has to be an address with https"],
    [{ GITHUB_SERVER_URL: undefined }, "and is not set"],
  ])("is not guessed: %o", (change, message) => {
    expect(() => repositoryOf({ ...ENV, ...change })).toThrow(message);
  });
});

describe("package.json", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

  it("gets repository, bugs and homepage, and keeps the rest", () => {
    const { repository: source, bugs, homepage, ...rest } = describedBy(manifest, repository);
    expect(source).toEqual({ type: "git", url: "git+https://git.example/someone/redis-store.git" });
    expect(bugs).toEqual({ url: "https://git.example/someone/redis-store/issues" });
    expect(homepage).toBe("https://git.example/someone/redis-store#readme");
    const { homepage: _, ...before } = manifest;
    expect(rest).toEqual(before);
  });

  it("names no address by itself, which would be wrong in every other repository", () => {
    expect(manifest).not.toHaveProperty("repository");
    expect(manifest).not.toHaveProperty("bugs");
  });
});

describe("a README", () => {
  const absolute = (text) => withAbsoluteLinks(text, repository);
  const base = "https://git.example/someone/redis-store";

  it("gets links that lead into the repository, to what is released", () => {
    expect(absolute("[a](docs/a.md), [b](./docs/b.md#part) and [c](LICENSE)")).toBe(
      `[a](${base}/blob/v1.2.3/docs/a.md), [b](${base}/blob/v1.2.3/docs/b.md#part) and [c](${base}/blob/v1.2.3/LICENSE)`,
    );
  });

  it("gets images as files, also in a link", () => {
    expect(absolute("[![x](docs/x.svg)](docs/x.md)")).toBe(
      `[![x](${base}/raw/v1.2.3/docs/x.svg)](${base}/blob/v1.2.3/docs/x.md)`,
    );
  });

  it("keeps addresses, places on the page, and code", () => {
    const text = "[a](https://a.example/b.md) [b](#part) [c](mailto:c@example.com) `[d](d.md)`\n```js\nf[0](e)\n```\n";
    expect(absolute(text)).toBe(text);
  });

  it("is refused when it leads out of the repository", () => {
    expect(() => absolute("[a](../a.md)")).toThrow("../a.md leads out of the repository");
    expect(() => absolute("[a](docs/../../a.md)")).toThrow("leads out of the repository");
  });

  it("of this package has no relative link left, and no other change", () => {
    const text = readFileSync(join(ROOT, "README.md"), "utf8");
    const relative = links(text).filter(({ target }) => !isAbsolute(target));
    expect(relative.length).toBeGreaterThan(10);
    const published = absolute(text);
    expect(links(published).filter(({ target }) => !isAbsolute(target))).toEqual([]);
    expect(published.replaceAll(`${base}/blob/v1.2.3/`, "").replaceAll(`${base}/raw/v1.2.3/`, "")).toBe(text);
  });
});
