import type { ComponentChildren, VNode } from "preact";
import {
  type Column,
  DataTable,
  EmptyState,
  type IconNode,
  NewButton,
  type Option,
  openDialog,
  Page,
  SearchInput,
  Segmented,
  Select,
  Toolbar,
} from "../ui/index.ts";
import type { TableProps } from "../ui/table-types.ts";
import type { Query } from "./api.ts";
import { useFilters } from "./filters.ts";
import { navigate } from "./navigate.ts";
import { ProjectFilter } from "./project-choice.tsx";
import { useList } from "./query.ts";

interface Bound {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** A filter in the address of a list. */
interface ListFilter {
  /** What to change when nothing matches. */
  readonly word: string;
  readonly absent: string;
  /** The parameter of the request; default: the name in the address. */
  readonly parameter?: string;
  readonly control: (bound: Bound) => VNode;
}

export function searchFilter(label: string, placeholder: string): ListFilter {
  return {
    word: "search",
    absent: "",
    control: (bound) => <SearchInput {...bound} label={label} placeholder={placeholder} />,
  };
}

/** A few choices in a row. */
export function segmentFilter(label: string, options: readonly Option[]): ListFilter {
  const absent = options[0]?.value ?? "";
  return { word: label.toLowerCase(), absent, control: (bound) => <Segmented {...{ ...bound, label, options }} /> };
}

/** Choices in a menu. */
export function selectFilter(label: string, options: readonly Option[]): ListFilter {
  const absent = options[0]?.value ?? "";
  return { word: label.toLowerCase(), absent, control: (bound) => <Select {...{ ...bound, label, options }} /> };
}

export const PROJECT_FILTER: ListFilter = {
  word: "project",
  absent: "",
  parameter: "projectId",
  control: (bound) => <ProjectFilter {...bound} />,
};

interface Empty {
  readonly title: string;
  readonly text: string;
  readonly icon?: IconNode;
}

interface Props<T> extends Omit<Partial<TableProps<T>>, "columns" | "empty" | "list" | "label"> {
  readonly title: string;
  readonly subtitle: string | ((items: readonly T[] | undefined, isFiltered: boolean) => string);
  /** A row in a word, such as `heartbeat`. */
  readonly noun: string;
  readonly path: string;
  /** Besides the filters. */
  readonly query?: Query;
  readonly filters?: Readonly<Record<string, ListFilter>>;
  readonly columns: readonly Column<T>[];
  /** A hook that loads the list again after changes. */
  readonly useLive?: (reload: () => void) => void;
  /** What makes a new one, as a dialog or the path of a page; undefined: the user may not. */
  readonly make?: (() => VNode) | string | undefined;
  /** Without filters. */
  readonly empty: Empty | ((action: ComponentChildren) => VNode);
  readonly tabs?: ComponentChildren;
  /** Above the list. */
  readonly children?: ComponentChildren;
}

/** Whether `rowKey` is needed depends on the type of the rows, which is not known here. */
const Table = DataTable as <T>(props: Omit<TableProps<T>, "rowKey"> & Partial<Pick<TableProps<T>, "rowKey">>) => VNode;
const LIMIT = 50;

/** A page of a list: its filters in the address, and what is shown while it loads or is empty. */
export function ListPage<T>(props: Props<T>) {
  const {
    title,
    subtitle,
    noun,
    path,
    query,
    filters = {},
    columns,
    useLive,
    make,
    empty,
    tabs,
    children,
    ...table
  } = props;
  const named = Object.entries(filters);
  const { values, isFiltered, bind } = useFilters<string>(
    Object.fromEntries(named.map(([name, { absent }]) => [name, absent])),
  );
  const given = named.map(([name, { parameter = name }]) => [parameter, values[name]]);
  const list = useList<T>(path, { limit: LIMIT, ...query, ...Object.fromEntries(given) });
  useLive?.(list.reload);
  const open = () => (typeof make === "string" ? navigate(make) : make && openDialog(make()));
  const action = make === undefined ? undefined : <NewButton onClick={open}>{`New ${noun}`}</NewButton>;
  const words = named.map(([, { word }]) => word);
  const change = [words.slice(0, -1).join(", the "), ...words.slice(-1)].filter(Boolean).join(" or the ");
  const none = isFiltered ? (
    <EmptyState title={`No ${noun} matches`} text={`Change the ${change}.`} />
  ) : typeof empty === "function" ? (
    empty(action)
  ) : (
    <EmptyState {...empty} action={action} />
  );
  return (
    <Page
      title={title}
      subtitle={typeof subtitle === "string" ? subtitle : subtitle(list.items, isFiltered)}
      actions={action}
      tabs={tabs}
    >
      {children}
      {named.length > 0 && (
        <Toolbar>
          {named.map(([name, { control: Filter }]) => (
            <Filter key={name} {...bind(name)} />
          ))}
        </Toolbar>
      )}
      <Table<T> {...{ ...table, label: title, list, columns, empty: none }} />
    </Page>
  );
}
