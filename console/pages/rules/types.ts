/** Answers of the rules API (docs/http.md): only the members that these pages use. */

export interface Suppression {
  readonly count: number;
  readonly windowMs: number;
  readonly mode?: "suppress" | "batch";
  readonly key?: string;
}

export interface Dedupe {
  readonly key: string;
  readonly windowMs: number;
}

export interface RuleAction {
  readonly type: string;
  readonly url?: string;
  readonly label?: string;
  readonly [other: string]: unknown;
}

/** What an author writes; one version of a rule. */
export interface Definition {
  readonly name: string;
  readonly description: string;
  /** Null: events of every project. */
  readonly projectId: string | null;
  readonly condition: string;
  readonly targetRoles: readonly string[];
  readonly targetUsers: readonly string[];
  readonly channels: readonly string[];
  /** Null: what the event says. */
  readonly titleTemplate: string | null;
  readonly messageTemplate: string | null;
  readonly sound: string | null;
  readonly action: RuleAction | null;
  readonly priority: number;
  readonly active: boolean;
  readonly suppression: Suppression | null;
  readonly dedupe: Dedupe | null;
  readonly cooldownMs: number;
}

export interface Stats {
  readonly matched: number;
  readonly fired: number;
  readonly suppressed: number;
  readonly deduped: number;
  readonly cooled: number;
  readonly alertsOpened: number;
  readonly noRecipients: number;
  readonly errors: number;
  readonly lastMatchedAt: string | null;
  readonly lastError: string | null;
}

export interface Rule extends Definition {
  readonly id: string;
  readonly soundUrl: string | null;
  readonly version: number;
  readonly createdBy: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Why an active rule is not evaluated. */
  readonly broken: { readonly code: string; readonly message: string } | null;
  readonly stats: Stats;
  /** Not in lists. */
  readonly warnings?: readonly { readonly code: string; readonly message: string }[];
  /** In lists: the last 24 hours, from the latest decisions. */
  readonly activity?: {
    readonly matched: number;
    readonly fired: number;
    readonly lastFiredAt: string | null;
    /** There were more than were counted. */
    readonly isCut: boolean;
  };
}

export interface RuleStats extends Stats {
  readonly perDay: readonly { readonly day: string; readonly matched: number; readonly fired: number }[];
}

export interface RuleVersion {
  readonly version: number;
  readonly definition: Definition;
  readonly createdBy: string | null;
  readonly createdAt: string;
}

export interface Warning {
  readonly code: string;
  readonly message: string;
  readonly position: number;
}

export interface TraceStep {
  readonly pos: number;
  readonly text: string;
  readonly value: unknown;
  readonly hint?: string;
}

export interface TestResult {
  readonly matched: boolean;
  readonly value: unknown;
  readonly trace: readonly TraceStep[];
  readonly error?: string;
  readonly warnings: readonly Warning[];
  readonly title?: string;
  readonly message?: string;
}

export interface EventSummary {
  readonly id: string;
  readonly seq: number;
  readonly projectId: string;
  readonly type: string;
  readonly level: string;
  readonly source: string | null;
  readonly receivedAt: string;
  readonly payload: Readonly<Record<string, unknown>>;
}
