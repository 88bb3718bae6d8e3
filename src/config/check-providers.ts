import type { ConfigValues } from "./options.ts";

/** What settings of S3 and Pusher say only together. @returns the problems */
export function checkProviders({ storage, pusher, env }: Pick<ConfigValues, "storage" | "pusher" | "env">): string[] {
  const problems: string[] = [];
  const need = (section: string, members: Readonly<Record<string, string | undefined>>, why: string): void => {
    const missing = Object.keys(members).filter((name) => members[name] === undefined);
    if (missing.length > 0)
      problems.push(`${missing.map((name) => `${section}.${name}`).join(", ")} must be set ${why}`);
  };
  if (storage.kind === "s3") {
    const { bucket, region, accessKeyId, secretAccessKey } = storage.s3;
    need("storage.s3", { bucket, region, accessKeyId, secretAccessKey }, "with storage.kind s3");
  }
  const { appId, key, secret, cluster, endpoint } = pusher;
  if (pusher.mode === "remote") {
    need("pusher", { appId, key, secret }, "with pusher.mode remote");
    if (cluster === undefined && endpoint === undefined)
      problems.push("pusher.cluster must be set with pusher.mode remote, or pusher.endpoint");
  } else if ([appId, key, secret].some((value) => value !== undefined))
    need("pusher", { appId, key, secret }, "together, or none of them");
  for (const [name, url] of [
    ["storage.s3.endpoint", storage.s3.endpoint],
    ["pusher.endpoint", endpoint],
  ] as const) {
    if (url?.startsWith("http:") && env === "production") problems.push(`${name} must be an https URL in production`);
  }
  return problems;
}

/** Settings that are given and do nothing. */
export function unusedProviders({ storage, pusher }: Pick<ConfigValues, "storage" | "pusher">): string[] {
  const unused: string[] = [];
  if (storage.kind !== "s3" && storage.s3.bucket !== undefined)
    unused.push(
      "storage.s3.bucket (S3_BUCKET) is not used while storage.kind is local; set PRISM_STORAGE_KIND=s3 to keep sounds there",
    );
  if (pusher.mode === "embedded" && pusher.cluster !== undefined)
    unused.push(
      "pusher.cluster (PUSHER_CLUSTER) is not used while pusher.mode is embedded: clients must connect to this server; set PRISM_PUSHER_MODE=remote to send through your app at Pusher",
    );
  if (pusher.mode === "remote" && pusher.webhooks.urls.length > 0)
    unused.push("pusher.webhooks.urls is not used while pusher.mode is remote: set webhooks up at Pusher");
  return unused;
}
