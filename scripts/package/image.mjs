// A container image as a tar in the layout of OCI (https://github.com/opencontainers/image-spec), with
// manifest.json for `docker load`: made without an engine.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ARCHITECTURES, gzipped, tarOf } from "./archive.mjs";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
const INDEX = "application/vnd.oci.image.index.v1+json";

/** Bytes of a header, and of which a file's content is a multiple. */
const BLOCK = 512;
const DOCKER = join(import.meta.dirname, "../../deploy/docker");

/**
 * The image of deploy/docker/Dockerfile. @param executable its path. @param architecture of Node: x64 or arm64
 * @param time in seconds, of all files. @param level of compression, 0 to 9. @param scratch a folder for its files
 * @returns the bytes of the tar
 */
export function prismImage({ executable, architecture, scratch, ...more }) {
  const root = mkdtempSync(join(scratch, "root-"));
  // mkdtemp makes it 0700, which the user of the image could not enter.
  chmodSync(root, 0o755);
  try {
    execFileSync(join(DOCKER, "rootfs.sh"), [executable, root]);
    const settings = settingsOf(readFileSync(join(DOCKER, "Dockerfile"), "utf8"));
    const layer = layerOf(root, settings, more.time);
    return imageOf({ layer, settings, architecture: ARCHITECTURES[architecture], scratch, ...more });
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** The tar of the root directory. The volume is its user's, and everything else root's. */
function layerOf(root, { User, WorkingDir }, time) {
  const [user, group] = User.split(":");
  const volume = WorkingDir.slice(1);
  const others = readdirSync(root).filter((name) => name !== volume);
  const system = tarOf(root, others, time);
  const own = tarOf(root, [volume], time, [`--owner=${user}`, `--group=${group}`]);
  return Buffer.concat([withoutEnd(system), own]);
}

/** A tar up to the blocks of zeros at its end, so that another follows; files may end with zeros, too. */
export function withoutEnd(tar) {
  let end = 0;
  while (tar[end] !== 0) {
    const bytes = Number.parseInt(tar.toString("latin1", end + 124, end + 136), 8);
    end += BLOCK * (1 + Math.ceil(bytes / BLOCK));
  }
  return tar.subarray(0, end);
}

/** What the last stage of a Dockerfile sets, as `config` of an image. */
function settingsOf(dockerfile) {
  const lines = dockerfile.replaceAll(/\\\n\s*/g, "").split("\n");
  const stage = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")));
  const valuesOf = (name) =>
    stage.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1).trim());
  const [check] = valuesOf("HEALTHCHECK");
  const flag = (name) => new RegExp(`--${name}=(\\d+)`).exec(check)?.[1];
  const nanoseconds = (name) => Number(flag(name)) * 1e9;
  return {
    User: valuesOf("USER")[0],
    ExposedPorts: Object.fromEntries(valuesOf("EXPOSE").map((port) => [`${port}/tcp`, {}])),
    Env: valuesOf("ENV").flatMap((pairs) => pairs.split(/\s+/)),
    Entrypoint: JSON.parse(valuesOf("ENTRYPOINT")[0]),
    Cmd: JSON.parse(valuesOf("CMD")[0]),
    Volumes: Object.fromEntries(valuesOf("VOLUME").map((path) => [path, {}])),
    WorkingDir: valuesOf("WORKDIR")[0],
    Labels: Object.fromEntries(
      valuesOf("LABEL").flatMap((pairs) =>
        [...pairs.matchAll(/(\S+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
      ),
    ),
    StopSignal: valuesOf("STOPSIGNAL")[0],
    Healthcheck: {
      Test: ["CMD", ...JSON.parse(/CMD (\[.*\])/.exec(check)[1])],
      ...{ Interval: nanoseconds("interval"), Timeout: nanoseconds("timeout") },
      ...{ StartPeriod: nanoseconds("start-period"), Retries: Number(flag("retries")) },
    },
  };
}

/**
 * @param layer the tar of the root directory, with owners and modes. @param settings `config` of the image
 * @returns the bytes of the tar
 */
function imageOf({ layer, settings, version, architecture, time, level, scratch }) {
  const created = new Date(time * 1000).toISOString();
  const compressed = gzipped(layer, level);
  const config = bytesOf({
    ...{ created, architecture, os: "linux", config: settings },
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
    history: [{ created, created_by: "npm run release", comment: "Prism" }],
  });
  const manifest = bytesOf({
    ...{ schemaVersion: 2, mediaType: MANIFEST },
    config: descriptor(CONFIG, config),
    layers: [descriptor(LAYER, compressed)],
  });
  const named = { "org.opencontainers.image.ref.name": version, "io.containerd.image.name": `prism:${version}` };
  const index = bytesOf({
    ...{ schemaVersion: 2, mediaType: INDEX },
    manifests: [{ ...descriptor(MANIFEST, manifest), platform: { architecture, os: "linux" }, annotations: named }],
  });
  const blob = (bytes) => `blobs/sha256/${hexOf(bytes)}`;
  const forDocker = [{ Config: blob(config), RepoTags: [`prism:${version}`], Layers: [blob(compressed)] }];
  const folder = mkdtempSync(join(scratch, "image-"));
  try {
    mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
    for (const bytes of [config, manifest, compressed]) writeFileSync(join(folder, blob(bytes)), bytes);
    writeFileSync(join(folder, "index.json"), index);
    writeFileSync(join(folder, "oci-layout"), bytesOf({ imageLayoutVersion: "1.0.0" }));
    writeFileSync(join(folder, "manifest.json"), bytesOf(forDocker));
    return tarOf(folder, ["oci-layout", "index.json", "manifest.json", "blobs"], time);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function bytesOf(value) {
  return Buffer.from(JSON.stringify(value));
}

function hexOf(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function digestOf(bytes) {
  return `sha256:${hexOf(bytes)}`;
}

function descriptor(mediaType, bytes) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}
