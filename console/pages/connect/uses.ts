import type { Channel, Integration, Receiver } from "../../../src/client/api-types.gen.ts";

/** What is set up of one program or service. */
export interface Use {
  readonly count: number;
  /** Last request, or about when a service last accepted a message; null: never. */
  readonly lastAt: string | null;
  readonly failing: number;
  readonly disabled: number;
  /** Prism sends to it. */
  readonly isSend: boolean;
}

export type Uses = ReadonlyMap<string, Use>;

export function usesOfReceivers(receivers: readonly Receiver[], keys: readonly Integration[]): Uses {
  return grouped([
    ...receivers.map(({ preset, lastRequestAt }) => [preset, one(lastRequestAt)] as const),
    ...keys.map(({ kind, lastUsedAt }) => [apiName(kind), one(lastUsedAt)] as const),
  ]);
}

export function usesOfChannels(channels: readonly Channel[]): Uses {
  return grouped(
    channels.map(({ preset, active, failures, disabledAt, acceptedAt }) => [
      preset,
      {
        ...one(acceptedAt),
        ...{ failing: active && failures > 0 ? 1 : 0, disabled: disabledAt === null ? 0 : 1, isSend: true },
      },
    ]),
  );
}

/** The tile of an API of another service: a receiver may have the same name. */
export function apiName(kind: string): string {
  return `api:${kind}`;
}

function one(lastAt: string | null): Use {
  return { count: 1, lastAt, failing: 0, disabled: 0, isSend: false };
}

function grouped(all: readonly (readonly [name: string, use: Use])[]): Uses {
  const found = new Map<string, Use>();
  for (const [name, use] of all) {
    const { count = 0, lastAt = null, failing = 0, disabled = 0 } = found.get(name) ?? {};
    found.set(name, {
      count: count + use.count,
      // Times of the API are of one form, so texts compare.
      lastAt: (lastAt ?? "") > (use.lastAt ?? "") ? lastAt : use.lastAt,
      failing: failing + use.failing,
      disabled: disabled + use.disabled,
      isSend: use.isSend,
    });
  }
  return found;
}
