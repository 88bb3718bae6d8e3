import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { stringify } from "yaml";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { type CliResult, runCli } from "./run-cli.ts";

interface Row {
  readonly id: string;
  readonly name: string;
  readonly preset: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly sendResolved: boolean;
}

/** A server, and a folder with the file that is imported. */
export class Migration {
  readonly prism: TestPrism;
  readonly folder: string;

  constructor(prism: TestPrism, folder: string) {
    this.prism = prism;
    this.folder = folder;
  }

  static async start(t: TestContext): Promise<Migration> {
    const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
    return new Migration(prism, temporaryDir(t));
  }

  write(name: string, content: string | object): void {
    writeFileSync(join(this.folder, name), typeof content === "string" ? content : stringify(content));
  }

  async user(username: string): Promise<void> {
    const email = `${username}@example.com`;
    await answered(201, this.prism.post("/api/v1/users", { username, email, password: "correct horse battery" }));
  }

  run(...flags: string[]): Promise<CliResult> {
    return this.cli("import", "alertmanager", "alertmanager.yml", ...flags);
  }

  cli(...words: string[]): Promise<CliResult> {
    return runCli(words, {
      cwd: this.folder,
      env: { PRISM_URL: this.prism.url, PRISM_TOKEN: this.prism.adminToken },
    });
  }

  async channels(): Promise<readonly Row[]> {
    const listed = await this.prism.get<{ data: Row[] }>("/api/v1/channels?projectId=default&limit=100");
    return listed.body.data.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async policies() {
    const path = "/api/v1/policies?projectId=default";
    type Policy = { name: string; version: number; steps: Record<string, unknown>[]; opensIncidents: boolean };
    return (await this.prism.get<{ data: Policy[] }>(path)).body.data;
  }

  /** What an import could have stored. */
  async stored() {
    const routes = await this.prism.get<{ version: number }>("/api/v1/routes?projectId=default");
    return [(await this.channels()).length, (await this.policies()).length, routes.body.version];
  }

  async fire(labels: Readonly<Record<string, string>>, endsAt?: string): Promise<void> {
    const alert = { labels, annotations: { summary: "Disk almost full" }, ...(endsAt ? { endsAt } : {}) };
    await answered(200, this.prism.post("/alertmanager/api/v2/alerts", [alert]));
  }
}
