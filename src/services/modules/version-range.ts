/** `major.minor.patch`; what follows a hyphen or plus is not compared. */
type Version = readonly [number, number, number];

const VERSION = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;
const COMPARATOR = /^(>=|<=|>|<|=|\^|~)?v?(\d{1,9}|[x*])(?:\.(\d{1,9}|[x*]))?(?:\.(\d{1,9}|[x*]))?$/;

/** @returns undefined for a text that is no version of semver.org. */
export function parseVersion(text: string): Version | undefined {
  const match = VERSION.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
}

/**
 * Whether a version lies in a range as npm writes them: comparators joined by spaces must all hold, of parts joined by `||` one.
 * @returns undefined for a range that cannot be read.
 */
export function isInRange(version: string, range: string): boolean | undefined {
  const parsed = parseVersion(version);
  if (!parsed) return undefined;
  const parts = range.split("||").map((part) => holdsAll(parsed, part.trim()));
  return parts.includes(undefined) ? undefined : parts.includes(true);
}

function holdsAll(version: Version, part: string): boolean | undefined {
  if (part === "" || part === "*") return true;
  const tests = part
    .replace(/(>=|<=|>|<|=|\^|~)\s+/g, "$1")
    .split(/\s+/)
    .map((comparator) => holds(version, comparator));
  return tests.includes(undefined) ? undefined : !tests.includes(false);
}

function holds(version: Version, text: string): boolean | undefined {
  const match = COMPARATOR.exec(text);
  if (!match) return undefined;
  const given = [match[2], match[3], match[4]].map((part) =>
    part === undefined || /[x*]/.test(part) ? null : Number(part),
  );
  const [major, minor, patch] = given as [number | null, number | null, number | null];
  if (major === null) return true;
  const low: Version = [major, minor ?? 0, patch ?? 0];
  const atLeast = compare(version, low) >= 0;
  switch (match[1]) {
    case ">=":
      return atLeast;
    case "<":
      return !atLeast;
    case ">":
      return compare(version, nextOf(major, minor, patch)) >= 0;
    case "<=":
      return compare(version, nextOf(major, minor, patch)) < 0;
    case "^":
      return atLeast && compare(version, caretEnd(major, minor, patch)) < 0;
    case "~":
      return atLeast && compare(version, minor === null ? [major + 1, 0, 0] : [major, minor + 1, 0]) < 0;
    default:
      return atLeast && compare(version, nextOf(major, minor, patch)) < 0;
  }
}

/** The first version behind what is written: `1.2` means all of 1.2. */
function nextOf(major: number, minor: number | null, patch: number | null): Version {
  if (minor === null) return [major + 1, 0, 0];
  return patch === null ? [major, minor + 1, 0] : [major, minor, patch + 1];
}

/** The leftmost number that is not 0 stays. */
function caretEnd(major: number, minor: number | null, patch: number | null): Version {
  if (major > 0 || minor === null) return [major + 1, 0, 0];
  return minor > 0 || patch === null ? [0, minor + 1, 0] : [0, 0, patch + 1];
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
