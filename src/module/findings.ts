import type { Config, LoadedConfig } from "../config/load.ts";
import type { PermissionHolder } from "../core/caller.ts";
import { attempt, FINDING_CODES, type Finding, type FindingCode, type LastResortCode } from "../core/finding.ts";
import type { Permission } from "../core/permissions.ts";
import type { ReadDb } from "../store/database.ts";
import type { SealedColumn } from "../store/sealed-column.ts";

/** What `prism doctor` looks at: files and settings, with or without a running server. */
export interface Installation {
  readonly config: Config;
  readonly loaded: LoadedConfig;
  readonly isServed: boolean;
  /** All is looked at, not a part that flags name. */
  readonly isWhole: boolean;
  /** `--fix`, `--deep` and `--anchor`. */
  readonly fixes: boolean;
  readonly isDeep: boolean;
  readonly anchor: { readonly seq: number; readonly hash: string } | undefined;
  readonly sealedColumns: readonly SealedColumn[];
  /** Whether this node of a cluster follows another one. */
  follows(): Promise<boolean>;
}

type Looks<T> = Partial<Record<FindingCode, (at: T) => readonly Finding[] | Promise<readonly Finding[]>>>;

/** What a feature finds without a server, each under the code of a look that fails. */
export interface StoredFindings {
  readonly machine?: Looks<At["machine"]>;
  /** Of a database that is intact and current. */
  readonly database?: Looks<At["database"]>;
  /** After these; null: the database cannot be read. */
  readonly last?: Looks<At["last"]>;
  /** What the server needs of others. */
  readonly services?: Looks<At["services"]>;
}

/** The problems that a feature finds. @param C context of the feature */
export interface FeatureFindings<C> {
  /** Of files and tables, for `prism doctor`; a server does not import it. */
  stored?(): Promise<{ readonly STORED: StoredFindings }>;
  /** Of a running server, from memory alone: asked each second, whatever the disk does. */
  known?(context: C): readonly Finding[];
  /** For a person, with what must be read and without what the person may not see; else those that are known. */
  shownTo?(context: C, caller: PermissionHolder): Promise<readonly Finding[]>;
  /** Whom the overview shows them. Default: `system:status`. */
  readonly permission?: Permission;
  /** What `emergency` calls for, looked for every 15 seconds while it is configured. Null: there is none. */
  readonly lastResort?: Partial<Record<LastResortCode, (context: C) => Finding | null | Promise<Finding | null>>>;
}

/** The problems of all features of a running server. */
export interface OpenFindings {
  /** Now, from memory. */
  known(): readonly Finding[];
  /** Those that the caller may see, with what must be read. */
  shownTo(caller: PermissionHolder): Promise<readonly Finding[]>;
  readonly lastResort: ReadonlyMap<LastResortCode, () => Finding | null | Promise<Finding | null>>;
}

/** @param features those that are open, with the context of their steps */
export function findingsOf<C>(
  features: () => readonly { readonly findings?: FeatureFindings<C> }[],
  context: () => C,
): OpenFindings {
  const all = (): FeatureFindings<C>[] => features().flatMap(({ findings }) => findings ?? []);
  return {
    known: () => all().flatMap((each) => each.known?.(context()) ?? []),
    async shownTo(caller) {
      const found: Finding[] = [];
      for (const each of all()) {
        if (!caller.permissions.has(each.permission ?? "system:status")) continue;
        found.push(...((await each.shownTo?.(context(), caller)) ?? each.known?.(context()) ?? []));
      }
      return found;
    },
    get lastResort() {
      return new Map(
        all().flatMap(({ lastResort = {} }) =>
          Object.entries(lastResort).map(([code, look]) => [code as LastResortCode, () => look(context())] as const),
        ),
      );
    },
  };
}

interface At {
  readonly machine: Installation;
  readonly database: Installation & { readonly db: ReadDb };
  readonly last: Installation & { readonly db: ReadDb | null };
  readonly services: Installation;
}

/** One after the other, in the order of their codes; an error is a finding. */
export async function lookAll<P extends keyof At>(
  all: readonly StoredFindings[],
  part: P,
  at: At[P],
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const code of FINDING_CODES)
    for (const each of all) {
      const look = (each[part] as Looks<At[P]> | undefined)?.[code];
      if (look) found.push(...(await attempt(code, async () => look(at))));
    }
  return found;
}

/** What the features find without a server. */
export async function storedFindings(
  features: readonly { readonly findings?: Pick<FeatureFindings<never>, "stored"> }[],
): Promise<StoredFindings[]> {
  const found = await Promise.all(features.map(async ({ findings }) => (await findings?.stored?.())?.STORED ?? []));
  return found.flat();
}
