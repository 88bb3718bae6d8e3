import type { ComponentChildren, VNode } from "preact";
import type { ButtonVariant } from "./button.tsx";
import type { Action, Tone } from "./types.ts";

/** One column of a DataTable. */
export interface Column<T> {
  /** No two of a table are the same. */
  readonly label: string;
  readonly cell: (row: T) => ComponentChildren;
  /**
   * Where the value goes on a card: first line left, first line right, small line, full line,
   * nowhere.
   */
  readonly card?: "title" | "aside" | "meta" | "text" | "hide" | undefined;
  /** 2 is hidden below 900 px, 3 below 1200 px. */
  readonly priority?: 1 | 2 | 3 | undefined;
  readonly align?: "end" | undefined;
  /** The rows can be sorted by it, under this name. */
  readonly sortBy?: string | undefined;
  /** `min`: as narrow as its content; `wide`: takes the room that is left. */
  readonly width?: "min" | "wide" | undefined;
  /** The heading is for screen readers only. */
  readonly hideLabel?: boolean | undefined;
  /** Shows the heading before the value on a card. Default: for numbers (`align: "end"`). */
  readonly cardLabel?: boolean | undefined;
}

/** Rows that can be chosen for a bulk action. */
export interface Selection {
  readonly selected: ReadonlySet<string>;
  readonly onChange: (selected: ReadonlySet<string>) => void;
  /** The actions of the bar that appears with the first chosen row. */
  readonly bulk: (ids: readonly string[]) => ComponentChildren;
}

/** Result of `useList`, or of `useGet` for one page: rows and the state of their request. */
export interface TableList<T> {
  readonly items?: readonly T[] | undefined;
  readonly data?: { readonly data: readonly T[] } | undefined;
  readonly error: unknown;
  readonly loading: boolean;
  reload(): void;
  readonly hasMore?: boolean;
  more?(): void;
}

/** A small button of a row; false, undefined: none. */
export type RowAction =
  | { readonly label: string; readonly onSelect: Action; readonly variant?: ButtonVariant | undefined }
  | false
  | undefined;

/** Props of a table whose parts know the key of each row. */
export interface TableProps<T> {
  readonly label: string;
  /** Gives `rows`, `loading`, `error`, `retry` and `more`; those that are given, too, come first. */
  readonly list?: TableList<T> | undefined;
  /** Undefined while they load for the first time. */
  readonly rows?: readonly T[] | undefined;
  readonly rowKey: (row: T) => string;
  readonly columns: readonly Column<T>[];
  readonly rowHref?: ((row: T) => string | undefined) | undefined;
  readonly onOpen?: ((row: T) => void) | undefined;
  readonly rowActions?: ((row: T) => readonly RowAction[] | VNode | null) | undefined;
  readonly selection?: Selection | undefined;
  readonly sort?:
    | { readonly by: string; readonly desc: boolean; readonly onChange: (by: string, desc: boolean) => void }
    | undefined;
  readonly loading?: boolean | undefined;
  readonly error?: unknown;
  readonly retry?: Action | undefined;
  readonly empty?: ComponentChildren;
  /** Null: none, although `list` has more. */
  readonly more?:
    | { readonly has: boolean; readonly load: Action; readonly shown?: number; readonly total?: number | undefined }
    | null
    | undefined;
  /** A coloured edge. */
  readonly rowTone?: ((row: T) => Tone | undefined) | undefined;
  readonly isUnread?: ((row: T) => boolean) | undefined;
  readonly dense?: boolean | undefined;
  /** Letters that act on the current row. */
  readonly hotkeys?: Readonly<Record<string, (row: T) => unknown>> | undefined;
  /** No card around it. */
  readonly bare?: boolean | undefined;
}

/** Rows are known by their `id`, unless `rowKey` is given. */
export type DataTableProps<T> = Omit<TableProps<T>, "rowKey"> &
  ([T] extends [{ readonly id: string }] ? Partial<Pick<TableProps<T>, "rowKey">> : Pick<TableProps<T>, "rowKey">);
