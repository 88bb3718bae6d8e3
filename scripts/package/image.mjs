// A container image as a tar in the layout of OCI (https://github.com/opencontainers/image-spec), with
// manifest.json for `docker load`: made without an engine.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipped, tarOf } from "./archive.mjs";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
const INDEX = "application/vnd.oci.image.index.v1+json";

/**
 * @param layer the tar of the root directory, with owners and modes. @param settings `config` of the image
 * @returns the bytes of the tar
 */
export function imageOf({ layer, settings, version, architecture, time, scratch }) {
  const created = new Date(time * 1000).toISOString();
  const compressed = gzipped(layer);
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
