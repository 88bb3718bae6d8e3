// needs: curl
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { isShown, SAMPLED, samplesOf } from "../helpers/transcripts.ts";
import { PrismBinary } from "./prism-binary.ts";

/** The address of a program elsewhere on the pages; here it is one of the test. */
const ELSEWHERE = "https://hooks.example.org/prism";

/** This section is about a server that has no room. */
const FULL = "507: nothing is stored";
const NO_ROOM = { PRISM_MIN_FREE_BYTES: "900719925474099" };

/** What is wrong before the commands of a section; `note NAME value` keeps a value for them. */
const BEFORE: Readonly<Record<string, string>> = {
  "No mail arrives": `
    echo '{"name":"Failed backups","condition":"event.type == \\"backup.failed\\"","targetUsers":["anna"],"channels":["email"]}' | prism rules import -
    note EVENT $(prism send --type backup.failed "No space left" | cut -c1-36)`,
  "A silence does not hold": `
    prism alerts fire alertname=DiskFull instance=db-2 --severity critical --summary "db-2 is full"
    prism silences add 'instance="db2"' --for 2h --comment 'New disks'`,
  "A receiver's request does nothing": `
    URL=$(prism receivers create Backups)
    curl -s -d '{"title":"Disk","state":"weird","key":"a"}' $URL
    curl -s -H "$J" -d '{"foo":{"bar":1}}' $URL`,
  "A rule does not fire": `
    echo '{"name":"Big payment","condition":"event.amount > 1000","targetUsers":["anna"]}' | prism rules import -
    note EVENT $(prism send --type payment --data '{"amount":"1500"}' | cut -c1-36)`,
  "The phone stays quiet": `
    prism channels create ntfy --user anna --name Phone --field url=${ELSEWHERE} --field topic=on-call`,
  "A webhook is paused or disabled": `
    prism webhooks create ${ELSEWHERE} --project default`,
  "A heartbeat is down though the job runs": `
    prism heartbeats create "Nightly backup" --every 1m --grace 1m
    prism heartbeats ping nightly-backup --as fail`,
};

test("the outputs on the pages are those that the reader gets", async (t) => {
  const stub = await elsewhere(t);
  const { port } = new URL(stub);
  const mail = { SMTP_HOST: "127.0.0.1", SMTP_PORT: "2525", SMTP_FROM: "prism@example.org" };
  const env = { ...mail, PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8", PRISM_WEBHOOKS_ALLOW_PORTS: port };
  const prism = new PrismBinary(t, { env });
  await prism.start();
  await prism.call("POST", "/api/v1/users", {
    username: "anna",
    password: "correct horse battery",
    email: "anna@example.org",
    roles: ["User"],
  });
  const full = new PrismBinary(t, { env: NO_ROOM });
  await full.start();
  const roomy = new Shell(prism, { env, stub });
  const crowded = new Shell(full, { env: NO_ROOM, stub });
  let ran = 0;
  for (const page of SAMPLED) {
    let section = "";
    for (const sample of samplesOf(page)) {
      const shell = sample.section === FULL ? crowded : roomy;
      if (sample.section !== section) await shell.prepare(BEFORE[sample.section] ?? "");
      section = sample.section;
      let output = "";
      const what = `${page}:${sample.line} $ ${sample.command}`;
      // What a page shows may be a moment away, such as an incident, and then stays: a paused provider.
      const shown = eventually(what, async () => {
        output = await shell.run(sample.command);
        return isShown(sample.output, output);
      });
      await shown.catch(() => assert.fail(`${what} prints:\n${output}\nthe page has:\n${sample.output}`));
      ran++;
    }
  }
  assert.ok(ran > 15, String(ran));
});

/** A shell of the reader on the machine of the server, with the variables that `note` kept. */
class Shell {
  readonly #prism: PrismBinary;
  readonly #stub: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #notes: string;

  constructor(prism: PrismBinary, { env, stub }: { env: Readonly<Record<string, string>>; stub: string }) {
    this.#prism = prism;
    this.#stub = stub;
    this.#env = env;
    this.#notes = join(prism.dir, "notes");
    const { port } = new URL(prism.url);
    writeFileSync(join(prism.dir, ".curlrc"), `connect-to = "127.0.0.1:3000:127.0.0.1:${port}"\n`);
  }

  async prepare(script: string): Promise<void> {
    writeFileSync(this.#notes, "");
    appendFileSync(this.#notes, `note() { echo "export $1=$2" >> ${this.#notes}; }\n`);
    await this.run(script);
  }

  /** @returns what it prints, errors among it */
  async run(script: string): Promise<string> {
    const { port } = new URL(this.#prism.url);
    const child = spawn("sh", [], {
      cwd: this.#prism.dir,
      env: {
        PRISM_MIN_FREE_BYTES: "0",
        ...this.#env,
        PATH: `${this.#prism.dir}:${process.env["PATH"]}`,
        HOME: this.#prism.dir,
        PORT: port,
        TZ: "UTC",
        PRISM_CONFIG_DIR: join(this.#prism.dir, "etc"),
        B: "http://127.0.0.1:3000",
        H: `Authorization: Bearer ${this.#prism.token}`,
        J: "Content-Type: application/json",
      },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    child.stdin.end(`. ${this.#notes}\n${script.replaceAll(ELSEWHERE, this.#stub)}\n`);
    await once(child, "close");
    return output;
  }
}

/** A program that is called and refuses every call. @returns its address */
async function elsewhere(t: TestContext): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(500).end("out of order");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
