import type { ComponentChildren } from "preact";
import { Badge, Button, Card, ErrorState, Pager, Skeleton, Time } from "../ui/index.ts";
import type { ListResult } from "./query.ts";

interface Version {
  readonly version: number;
  readonly createdAt: string;
}

interface Props<V extends Version> {
  /** The newest first. */
  readonly list: ListResult<V>;
  readonly current: number;
  readonly by: (version: V) => ComponentChildren;
  /** After the time. */
  readonly note?: (version: V, previous: V) => ComponentChildren;
  /** Absent: the user may not. */
  readonly onRestore?: ((version: V) => unknown) | undefined;
  /** The text of version 1. */
  readonly first: string;
  /** Without any version. */
  readonly empty?: ComponentChildren;
  /** Summary of the change. */
  readonly children: (version: V, previous: V) => ComponentChildren;
}

/** Who saved what, newest first, each with the difference to the previous version. */
export function VersionList<V extends Version>(props: Props<V>) {
  const { list, current, by, note, onRestore, first, empty, children } = props;
  if (list.error && !list.items) return <ErrorState error={list.error} retry={list.reload} />;
  if (!list.items) return <Skeleton kind="rows" count={4} />;
  if (list.items.length === 0) return <>{empty}</>;
  return (
    <div class="stack">
      {list.items.map((version, index, versions) => {
        const previous = versions[index + 1];
        const restore = onRestore && (
          <Button small onClick={() => onRestore(version)}>
            Restore
          </Button>
        );
        const sub = (
          <>
            {by(version)}, <Time at={version.createdAt} />
            {previous && note?.(version, previous)}
          </>
        );
        return (
          <Card
            key={version.version}
            title={`Version ${version.version}`}
            sub={sub}
            actions={version.version === current ? <Badge tone="ok">current</Badge> : restore}
          >
            {previous ? (
              children(version, previous)
            ) : (
              <p class="muted small">{version.version === 1 ? first : "The previous version is on the next page."}</p>
            )}
          </Card>
        );
      })}
      {list.hasMore && <Pager has load={list.more} shown={list.items.length} />}
    </div>
  );
}
