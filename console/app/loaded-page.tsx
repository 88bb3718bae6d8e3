import { type ComponentChildren, Fragment } from "preact";
import { ErrorState, Page, Skeleton } from "../ui/index.ts";
import type { QueryResult } from "./query.ts";

interface Props<T> {
  /** The page's heading until its data is there. */
  readonly title: string;
  readonly query: QueryResult<T>;
  readonly children: (data: T) => ComponentChildren;
}

/** A page of one thing, with a heading also while it loads and when it cannot be loaded. */
export function LoadedPage<T>({ title, query, children }: Props<T>) {
  const { data, error, reload } = query;
  // The page of another thing, also of one that is known already, begins without the state of the last one.
  if (data !== undefined) return <Fragment key={(data as { readonly id?: string }).id}>{children(data)}</Fragment>;
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
