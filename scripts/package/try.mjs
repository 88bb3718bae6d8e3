// Runs the archive of a release on the libraries of a release of Debian, and nothing else of this machine
// but its kernel:
//   node scripts/package/try.mjs [--from dist/release] [--debian bookworm]
//
// Takes libc6, libgcc-s1 and libstdc++6 from the mirror of this machine's apt into a root of their own,
// unpacks the archive there, and starts the server in namespaces; needs root. With --root <folder> the
// libraries are those of that folder.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";

const LIBRARIES = ["libc6", "libgcc-s1", "libstdc++6"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Of the start, with an empty database, on a machine that is busy. */
const LIMIT_MS = 60_000;
const ENTER = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$@"';

const { values } = parseArgs({
  options: {
    from: { type: "string", default: join(import.meta.dirname, "../../dist/release") },
    debian: { type: "string", default: "bookworm" },
    root: { type: "string" },
  },
});
const work = mkdtempSync(join(tmpdir(), "prism-try-"));
try {
  const root = values.root === undefined ? join(work, "root") : resolve(values.root);
  if (values.root === undefined) addLibraries(root, values.debian);
  for (const folder of ["dev", "proc", "tmp", "data", "prism"]) mkdirSync(join(root, folder), { recursive: true });
  const archive = readdirSync(values.from).find((name) => name.endsWith(".tar.gz"));
  execFileSync("tar", ["-xzf", join(values.from, archive), "--strip-components=1", "-C", join(root, "prism")]);
  console.log(execFileSync(...inside(root, "version", "--all"), { encoding: "utf8" }).trimEnd());
  await serve(root);
  console.log(`${archive} runs on ${values.root ?? `the libraries of Debian ${values.debian}`}`);
} finally {
  rmSync(work, { recursive: true });
}

/** Unpacks the libraries of that release into `root`. */
function addLibraries(root, debian) {
  const state = join(work, "apt");
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(state, folder), { recursive: true });
  // Without it apt would look for the versions that are installed here.
  writeFileSync(join(state, "status"), "");
  const sources = ["Types: deb", `URIs: ${mirror()}`, `Suites: ${debian}`, "Components: main", `Signed-By: ${KEYRING}`];
  writeFileSync(join(state, "try.sources"), `${sources.join("\n")}\n`);
  const options = {
    "Dir::Etc::SourceList": join(state, "try.sources"),
    "Dir::Etc::SourceParts": "-",
    "Dir::State::Lists": join(state, "lists"),
    "Dir::State::status": join(state, "status"),
    "Dir::Cache": join(state, "cache"),
    "APT::Sandbox::User": "root",
  };
  const flags = ["-qq", ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
  for (const words of [["update"], ["download", ...LIBRARIES]])
    execFileSync("apt-get", [...flags, ...words], { cwd: state, stdio: "inherit" });
  const packages = readdirSync(state).filter((name) => name.endsWith(".deb"));
  for (const name of packages) execFileSync("dpkg-deb", ["--extract", join(state, name), root]);
  // Since Debian 13 the packages have no files there, and base-files has these links.
  for (const name of ["lib", "lib64"]) if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
  console.log(packages.join(" "));
}

/** The mirror of Debian that this machine's apt uses. */
function mirror() {
  const known = execFileSync("apt-get", ["indextargets", "--format", "$(SITE) $(LABEL)"], { encoding: "utf8" });
  const line = known.split("\n").find((each) => each.endsWith(" Debian"));
  if (line === undefined) throw new Error("apt knows no mirror of Debian: apt-get update");
  return line.split(" ")[0];
}

/** Program and arguments that run the executable in `root`, alone in its process namespace. */
function inside(root, ...words) {
  const env = ["-i", "PATH=/usr/sbin:/usr/bin", "PRISM_DATA_DIR=/data", "PRISM_CACHE_DIR=/data/cache"];
  const enter = ["/bin/sh", "-c", ENTER, "sh", root, "/prism/prism", ...words];
  return ["env", [...env, "unshare", "--mount", "--pid", "--fork", "--kill-child", ...enter]];
}

/** Starts the server, sends an event, and stops it. @throws Error if one of them fails */
async function serve(root) {
  const child = spawn(...inside(root, "serve", "--dev", "--port", "0"), { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (part) => {
      output += part;
    });
  const ended = once(child, "exit");
  try {
    await ready(root, child, () => output);
    console.log(execFileSync(...inside(root, "send", "it", "runs"), { encoding: "utf8" }).trimEnd());
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

async function ready(root, child, output) {
  for (const until = Date.now() + LIMIT_MS; Date.now() < until; await setTimeout(100)) {
    if (child.exitCode !== null) throw new Error(`it ended: ${output()}`);
    const [program, words] = inside(root, "health", "--ready");
    if (spawnSync(program, words).status === 0) return;
  }
  throw new Error(`it does not answer: ${output()}`);
}
