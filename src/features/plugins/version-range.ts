import semver from "semver";

/** Whether a text is a version of semver.org, without the `v` and the spaces that npm takes too. */
export function isVersion(text: string): boolean {
  return /^\d\S*$/.test(text) && semver.valid(text) !== null;
}

/**
 * Whether a version lies in a range as npm writes them. A pre-release counts as the release that it leads to.
 * @returns undefined for a range that cannot be read.
 */
export function isInRange(version: string, range: string): boolean | undefined {
  if (semver.validRange(range) === null) return undefined;
  const parsed = semver.parse(version);
  return parsed ? semver.satisfies(`${parsed.major}.${parsed.minor}.${parsed.patch}`, range) : undefined;
}
