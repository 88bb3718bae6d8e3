import { type ComponentChildren, Fragment } from "preact";
import { ErrorState, Page, Skeleton, useShownWith } from "../ui/index.ts";
import { useManagedQuery } from "./managed.tsx";
import type { Loaded, QueryResult } from "./query.ts";

interface Props<T> {
  /** The page's heading until its data is there. */
  readonly title: string;
  readonly query: QueryResult<T>;
  /** What its first picture shows besides. */
  readonly besides?: readonly Loaded<unknown>[];
  /** What configuration files call it: a badge and a notice say that it is in one. */
  readonly managedAs?: string;
  readonly children: (data: T) => ComponentChildren;
}

/**
 * A page of one thing, with a heading also while it loads and when it cannot be loaded. It is shown
 * as a whole: what came after the thing would move the rest.
 */
export function LoadedPage<T>({ title, query, besides = [], managedAs, children }: Props<T>) {
  const { data, error, reload } = query;
  const files = useManagedQuery(managedAs);
  const isShown = useShownWith(data !== undefined, [...besides, files]);
  // The page of another thing, also of one that is known already, begins without the state of the last one.
  if (data !== undefined && isShown)
    return <Fragment key={(data as { readonly id?: string }).id}>{children(data)}</Fragment>;
  if (!error) {
    return (
      <Page title={title}>
        <Skeleton kind="form" />
      </Page>
    );
  }
  return (
    <Page title={title} subtitle="It cannot be shown.">
      <ErrorState error={error} retry={reload} />
    </Page>
  );
}
