import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { UNPRINTABLE } from "../../../src/core/text/clean-text.ts";
import { runCli } from "../../cli/run-cli.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import type { Scope } from "../../helpers/scope.ts";
import { temporaryDir } from "../../helpers/store.ts";

/** The files of one import. */
export class Moved {
  readonly out: string;
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;

  private constructor(out: string, result: { status: number | null; stdout: string; stderr: string }) {
    this.out = out;
    this.status = result.status;
    this.stdout = result.stdout;
    this.stderr = result.stderr;
  }

  /** Imports twice: the same source gives the same bytes. */
  static async from(t: Scope, ...words: readonly string[]): Promise<Moved> {
    const [one, other] = [join(temporaryDir(t), "out"), join(temporaryDir(t), "out")];
    const result = await runCli(["import", ...words, "--out", one], { cwd: temporaryDir(t), env: {} });
    assert.ok(result.status === 0 || result.status === 8, result.stderr);
    await runCli(["import", ...words, "--out", other], { cwd: temporaryDir(t), env: {} });
    const moved = new Moved(one, result);
    assert.deepEqual(moved.files(), new Moved(other, result).files());
    return moved;
  }

  files(): Readonly<Record<string, string>> {
    return Object.fromEntries(readdirSync(this.out).map((name) => [name, readFileSync(join(this.out, name), "utf8")]));
  }

  text(name: string): string {
    return readFileSync(join(this.out, name), "utf8");
  }

  rows(name: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.text(name).split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Rows of the report as `kind name: outcome`. */
  report(): readonly string[] {
    const { rows } = JSON.parse(this.text("report.json")) as { rows: Record<string, string>[] };
    return rows.map(({ kind, name, outcome }) => `${kind} ${name}: ${outcome}`);
  }

  /** Secrets are in files that only their owner reads, and nowhere else. */
  assertHidden(secrets: readonly string[]): void {
    for (const [name, text] of Object.entries({ ...this.files(), stdout: this.stdout, stderr: this.stderr })) {
      const isPrivate = /\.(ndjson|env)$/.test(name);
      if (isPrivate) assert.equal(statSync(join(this.out, name)).mode & 0o777, 0o600, name);
      else for (const secret of secrets) assert.ok(!text.includes(secret), `${name} has ${secret}`);
      // Names are texts of strangers.
      if (/^std|\.(yaml|md)$/.test(name)) assert.equal(text.replaceAll("\n", "").search(UNPRINTABLE), -1, name);
    }
    const hidden = Object.entries(this.files()).filter(([name]) => /\.(ndjson|env)$/.test(name));
    for (const secret of secrets)
      assert.ok(
        hidden.some(([, text]) => text.includes(secret)),
        `nowhere: ${secret}`,
      );
  }

  async check(): Promise<void> {
    const { status, stdout, stderr } = await runCli(["check", "-f", "."], { cwd: this.out, env: {} });
    assert.equal(status, 0, `${stdout}${stderr}`);
  }

  /** Runs what the command says to do. */
  async apply(prism: TestPrism): Promise<void> {
    const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
    const names = readdirSync(this.out);
    const run = async (words: readonly string[], given: Readonly<Record<string, string>> = env) => {
      const { status, stdout, stderr } = await runCli(words, { cwd: this.out, env: given });
      assert.equal(status, 0, `${words.join(" ")}: ${stdout}${stderr}`);
    };
    if (names.includes("users.ndjson")) await run(["user", "import", "users.ndjson"]);
    const secrets = names.includes("import-secrets.env") ? ["--secrets-file", "import-secrets.env"] : [];
    const runtime = names.includes("runtime.yaml") ? ["--runtime"] : [];
    if (names.some((name) => name.endsWith(".yaml")))
      await run(["apply", "-f", ".", "--yes", "--issued", "issued.txt", ...secrets, ...runtime]);
    if (names.includes("tokens.ndjson"))
      await run(["import", "tokens", "tokens.ndjson"], { PRISM_DATA_DIR: prism.dir });
  }
}
