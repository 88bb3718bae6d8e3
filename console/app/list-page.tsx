import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import {
  type Column,
  DataTable,
  EmptyState,
  type EmptyStateProps,
  NewButton,
  openDialog,
  Page,
  Toolbar,
  useTogether,
} from "../ui/index.ts";
import type { TableList, TableProps } from "../ui/table-types.ts";
import type { Listed } from "./list-of.tsx";
import { useFileColumn, useManagedQuery } from "./managed.tsx";
import { navigate } from "./navigate.ts";

type Shown = Pick<Listed<unknown>, "controls" | "bind" | "isFiltered">;

interface Props<T> extends Omit<Partial<TableProps<T>>, "columns" | "empty" | "list" | "selection"> {
  /** Of `useListOf`, or of `useGet` for one page. */
  readonly of: TableList<T> & Partial<Shown>;
  readonly title: string;
  readonly subtitle: string;
  /** A row in a word, such as `heartbeat`. */
  readonly noun: string;
  readonly columns: readonly Column<T>[];
  /** What makes a new one, as a dialog or the path of a page; undefined: the user may not. */
  readonly make?: (() => VNode) | string | undefined;
  /** Other buttons, before that one. */
  readonly actions?: ComponentChildren;
  /** Without filters. */
  readonly empty: EmptyStateProps | ((action: ComponentChildren) => VNode);
  /** With filters, where more is to be said than which ones to change. */
  readonly unmatched?: EmptyStateProps;
  /** The actions on chosen rows. */
  readonly bulk?: ((ids: readonly string[], done: () => void) => VNode) | false | undefined;
  readonly tabs?: ComponentChildren;
  /** What configuration files call the rows: those that are in one have a badge. */
  readonly managedAs?: string;
  /** Above the filters. */
  readonly children?: ComponentChildren;
  /** Between the filters and the list. */
  readonly above?: ComponentChildren;
  readonly below?: ComponentChildren;
}

/** Whether `rowKey` is needed depends on the type of the rows, which is not known here. */
const Table = DataTable as <T>(props: Omit<TableProps<T>, "rowKey"> & Partial<Pick<TableProps<T>, "rowKey">>) => VNode;

/** A page of a list: its filters, and what is shown while it loads or is empty. */
export function ListPage<T>(props: Props<T>) {
  const { of, title, subtitle, noun, make, actions, empty, unmatched, bulk, tabs, children, above, below, ...rest } =
    props;
  const { managedAs, columns, ...table } = rest;
  const files = useFileColumn<T>(managedAs, (row) => (row as { readonly id: string }).id);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const open = () => (typeof make === "string" ? navigate(make) : make && openDialog(make()));
  const action = make === undefined ? undefined : <NewButton onClick={open}>{`New ${noun}`}</NewButton>;
  const none = of.isFiltered ? (
    <EmptyState title={`No ${noun} matches`} text={`Change the ${wordsOf(of)}.`} {...unmatched} />
  ) : typeof empty === "function" ? (
    empty(action)
  ) : (
    <EmptyState action={action} {...empty} />
  );
  const selection = bulk && {
    selected,
    onChange: setSelected,
    bulk: (ids: readonly string[]) => bulk(ids, () => setSelected(new Set())),
  };
  const buttons =
    actions === undefined ? (
      action
    ) : (
      <>
        {actions}
        {action}
      </>
    );
  return (
    <Page {...{ title, subtitle, tabs }} actions={buttons}>
      {children}
      <ListFilters of={of} />
      {above}
      <Table<T>
        label={title}
        {...table}
        columns={[...columns, ...files]}
        list={useTogether(of, useManagedQuery(managedAs))}
        selection={selection || undefined}
        empty={none}
      />
      {below}
    </Page>
  );
}

/** The filters of a list, above it. */
export function ListFilters({ of: { controls = {}, bind } }: { readonly of: Partial<Shown> }) {
  const all = Object.entries(controls).flatMap(([name, { control: Control, ...filter }]) =>
    Control && bind ? [{ ...filter, value: bind(name).value, shown: <Control key={name} {...bind(name)} /> }] : [],
  );
  if (all.length === 0) return null;
  const end = all.filter(({ isEnd }) => isEnd);
  const search = all.find(({ isSearch }) => isSearch);
  const rest = all.filter((each) => !each.isEnd && each !== search);
  return (
    <Toolbar
      search={search?.shown}
      active={rest.length > 0 ? rest.filter(({ value, absent }) => value !== absent).length : undefined}
      end={end.length > 0 ? end.map(({ shown }) => shown) : undefined}
    >
      {rest.map(({ shown }) => shown)}
    </Toolbar>
  );
}

/** Which filters to change. */
function wordsOf({ controls = {} }: Partial<Shown>): string {
  const words = Object.values(controls).flatMap(({ word, control }) => (control ? [word] : []));
  return [words.slice(0, -1).join(", the "), ...words.slice(-1)].filter(Boolean).join(" or the ");
}
