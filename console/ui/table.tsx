import { ArrowDown, ArrowUp, X } from "lucide";
import type { ComponentChildren, VNode } from "preact";
import { useRef } from "preact/hooks";
import { Button, IconButton } from "./button.tsx";
import { Checkbox } from "./choices.tsx";
import { cx, isForInnerControl } from "./dom.ts";
import { errorInfo } from "./errors.ts";
import { formatNumber } from "./format.ts";
import { Icon } from "./icon.tsx";
import { Banner, EmptyState, ErrorState, Skeleton } from "./status.tsx";
import { useTableKeys } from "./table-keys.ts";
import type { Column, DataTableProps, RowAction, Selection, TableList, TableProps } from "./table-types.ts";
import { useRowWindow } from "./table-window.ts";
import { InList } from "./time.tsx";
import type { Action } from "./types.ts";

/**
 * A list: a table on wide screens, cards below 640 px, from the same markup. j and k move between
 * rows, Enter opens, x selects.
 */
export function DataTable<T>(given: DataTableProps<T>) {
  const { list, ...own }: Partial<TableProps<T>> & Omit<TableProps<T>, "rowKey"> = given;
  const props: TableProps<T> = { rowKey: idOf, ...(list && propsOf(list)), ...own };
  const { label, rows, selection, loading, error, retry, empty, more, bare, dense } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const lastSelected = useRef<number | undefined>(undefined);
  const shown = useRowWindow(rows?.length ?? 0, body);
  const select = selection && ((index: number, extend: boolean) => toggleRows(props, index, extend, lastSelected));
  useTableKeys({
    rows: () => [...(body.current?.rows ?? [])],
    open: (index) => openRow(body.current?.rows[index]),
    select: select && ((index, extend) => select(shown.from + index, extend)),
    hotkey: (key, index) => {
      const row = rows?.[shown.from + index];
      const action = Object.hasOwn(props.hotkeys ?? {}, key) ? props.hotkeys?.[key] : undefined;
      return row === undefined ? undefined : action?.(row);
    },
  });
  const frame = cx("table-box", bare !== true && "card", dense && "dense");
  if (rows === undefined) {
    const hasFailed = error !== undefined && error !== null;
    return (
      <div class={frame}>
        {hasFailed ? <ErrorState error={error} retry={retry} /> : <div class="pad" children={<Skeleton count={6} />} />}
      </div>
    );
  }
  if (rows.length === 0) return <div class={frame}>{empty ?? <EmptyState title="Nothing here" />}</div>;
  return (
    <div class={frame} aria-busy={loading || undefined}>
      {error !== undefined && error !== null && <StaleNotice error={error} retry={retry} />}
      {selection && selection.selected.size > 0 && <BulkBar selection={selection} ids={rows.map(props.rowKey)} />}
      <div class="table-scroll">
        {/* The roles stay when the style sheet makes rows into cards. */}
        <table class="table" role="table" aria-label={label} aria-rowcount={rows.length + 1}>
          <Head {...props} rows={rows} />
          <Gap px={shown.beforePx} />
          <tbody ref={body} role="rowgroup">
            <InList.Provider value={true}>
              {rows.slice(shown.from, shown.to).map((row, index) => (
                <Row key={props.rowKey(row)} {...props} row={row} index={shown.from + index} onSelect={select} />
              ))}
            </InList.Provider>
          </tbody>
          <Gap px={shown.afterPx} />
        </table>
      </div>
      {more && <Pager {...more} shown={more.shown ?? rows.length} />}
    </div>
  );
}

function idOf(row: unknown): string {
  return (row as { readonly id: string }).id;
}

function propsOf<T>(list: TableList<T>): Partial<TableProps<T>> {
  const { items, data, loading, error, more, hasMore = false } = list;
  const pager = more && { more: { has: hasMore, load: more } };
  return { rows: items ?? data?.data, loading, error, retry: list.reload, ...pager };
}

/** Known rows stay when they cannot be refreshed. */
function StaleNotice({ error, retry }: { readonly error: unknown; readonly retry: Action | undefined }) {
  const again = retry && (
    <Button small onClick={retry}>
      Try again
    </Button>
  );
  return (
    <Banner tone="warn" title="The list could not be refreshed" action={again}>
      {errorInfo(error).message}
    </Banner>
  );
}

/** Keeps the height of rows that are not in the document. */
function Gap({ px }: { readonly px: number }) {
  if (px <= 0) return null;
  return (
    <tbody aria-hidden="true" class="gap">
      <tr style={{ height: `${px}px` }} />
    </tbody>
  );
}

function openRow(row: HTMLTableRowElement | undefined): void {
  row?.querySelector<HTMLElement>("[data-open]")?.click();
}

/** Toggles one row, or with Shift all from the last toggled one. */
function toggleRows<T>(
  { rows = [], rowKey, selection }: TableProps<T>,
  index: number,
  extend: boolean,
  last: { current?: number | undefined },
): void {
  if (selection === undefined) return;
  const { selected, onChange } = selection;
  const from = extend ? (last.current ?? index) : index;
  const range = rows.slice(Math.min(from, index), Math.max(from, index) + 1);
  const row = rows[index];
  if (row === undefined) return;
  const isOn = !selected.has(rowKey(row));
  const next = new Set(selected);
  for (const each of range) {
    if (isOn) next.add(rowKey(each));
    else next.delete(rowKey(each));
  }
  last.current = index;
  onChange(next);
}

function cardSlot<T>(column: Column<T>, index: number): string {
  return column.card ?? (index === 0 ? "title" : "meta");
}

function columnClass<T>(column: Column<T>, index: number): string {
  const { priority = 1, align, width } = column;
  return cx(
    `to-${cardSlot(column, index)}`,
    priority > 1 && `p${priority}`,
    align === "end" && "end",
    width && `w-${width}`,
  );
}

function Head<T>({
  columns,
  sort,
  selection,
  rowActions,
  rows,
  rowKey,
}: TableProps<T> & { readonly rows: readonly T[] }) {
  return (
    <thead role="rowgroup">
      <tr role="row">
        {selection && (
          <th role="columnheader" class="pick">
            <SelectAll selection={selection} ids={rows.map(rowKey)} />
          </th>
        )}
        {columns.map((column, index) => {
          const { label, sortBy } = column;
          const isSorted = sortBy !== undefined && sort?.by === sortBy;
          const direction = isSorted ? (sort?.desc === true ? "descending" : "ascending") : undefined;
          const name = column.hideLabel === true ? <span class="sr-only">{label}</span> : label;
          return (
            <th key={label} role="columnheader" scope="col" class={columnClass(column, index)} aria-sort={direction}>
              {sortBy !== undefined && sort !== undefined ? (
                <button
                  type="button"
                  class={cx("sort", isSorted && "on")}
                  onClick={() => sort.onChange(sortBy, isSorted ? !sort.desc : false)}
                >
                  {name}
                  <Icon node={isSorted && sort.desc ? ArrowDown : ArrowUp} size={12} />
                </button>
              ) : (
                name
              )}
            </th>
          );
        })}
        {rowActions && (
          <th role="columnheader" class="acts">
            <span class="sr-only">Actions</span>
          </th>
        )}
      </tr>
    </thead>
  );
}

interface RowProps<T> extends TableProps<T> {
  readonly row: T;
  readonly index: number;
  readonly onSelect: ((index: number, extend: boolean) => void) | undefined;
}

function Row<T>(props: RowProps<T>) {
  const { row, index, columns, rowKey, rowHref, onOpen, rowActions, selection, onSelect } = props;
  const isSelected = selection?.selected.has(rowKey(row)) ?? false;
  const href = rowHref?.(row);
  const opens = href !== undefined || onOpen !== undefined;
  const tone = props.rowTone?.(row);
  const isUnread = props.isUnread?.(row) === true;
  const look = cx(opens && "opens", tone && `toned ${tone}`, isSelected && "selected", isUnread && "unread");
  return (
    <tr
      role="row"
      class={look}
      tabIndex={-1}
      aria-rowindex={index + 2}
      aria-selected={selection ? isSelected : undefined}
      onClick={(event) => {
        if (!opens || isForInnerControl(event)) return;
        if (href !== undefined && (event.ctrlKey || event.metaKey)) window.open(href, "_blank", "noopener");
        else openRow(event.currentTarget);
      }}
    >
      {selection && onSelect && (
        <td
          role="cell"
          class="pick"
          onClickCapture={(event) => event.shiftKey && onShiftClick(event, () => onSelect(index, true))}
        >
          <Checkbox checked={isSelected} onChange={() => onSelect(index, false)} label="Select" hideLabel />
        </td>
      )}
      {columns.map((column, at) => {
        const withLabel = column.cardLabel ?? (column.align === "end" && cardSlot(column, at) === "meta");
        const isTitle = at === columns.findIndex((each, i) => cardSlot(each, i) === "title");
        return (
          <td
            key={column.label}
            role="cell"
            class={columnClass(column, at)}
            data-label={withLabel ? column.label : undefined}
          >
            {isTitle && opens ? (
              <Opener row={row} href={href} onOpen={onOpen} content={isolated(column.cell(row))} />
            ) : (
              isolated(column.cell(row))
            )}
            {isTitle && isUnread && <span class="sr-only"> (unread)</span>}
          </td>
        );
      })}
      {rowActions && (
        <td role="cell" class="acts">
          <div class="acts-in">
            <RowActions actions={rowActions(row)} />
          </div>
        </td>
      )}
    </tr>
  );
}

function RowActions({ actions }: { readonly actions: readonly RowAction[] | VNode | null }) {
  if (actions === null || "type" in actions) return actions;
  return actions.map(
    (each) =>
      each && (
        <Button small key={each.label} variant={each.variant} onClick={each.onSelect}>
          {each.label}
        </Button>
      ),
  );
}

/** Plain text is isolated from the direction of its neighbours. */
function isolated(content: ComponentChildren): ComponentChildren {
  return typeof content === "string" && content !== "" ? <bdi>{content}</bdi> : content;
}

function onShiftClick(event: MouseEvent, extend: () => void): void {
  event.preventDefault();
  event.stopPropagation();
  extend();
}

function Opener<T>(props: {
  readonly row: T;
  readonly href: string | undefined;
  readonly onOpen: ((row: T) => void) | undefined;
  readonly content: ComponentChildren;
}) {
  const { row, href, onOpen, content } = props;
  if (href !== undefined) {
    return (
      <a class="row-open" href={href} data-open>
        {content}
      </a>
    );
  }
  return (
    <button class="row-open" type="button" data-open onClick={() => onOpen?.(row)}>
      {content}
    </button>
  );
}

interface SelectionProps {
  readonly selection: Selection;
  /** Ids of all shown rows. */
  readonly ids: readonly string[];
}

function SelectAll({ selection: { selected, onChange }, ids }: SelectionProps) {
  const count = ids.filter((id) => selected.has(id)).length;
  const isAll = count > 0 && count === ids.length;
  return (
    <Checkbox
      label="Select all"
      hideLabel
      checked={isAll}
      indeterminate={count > 0 && !isAll}
      onChange={() => onChange(new Set(isAll ? [] : ids))}
    />
  );
}

function BulkBar({ selection: { selected, onChange, bulk }, ids }: SelectionProps) {
  return (
    <div class="bulk" role="group" aria-label="Actions on selected rows">
      <span class="strong num">{formatNumber(selected.size)} selected</span>
      {bulk([...selected])}
      {selected.size < ids.length && (
        <Button small variant="quiet" onClick={() => onChange(new Set(ids))}>
          Select all {formatNumber(ids.length)}
        </Button>
      )}
      <IconButton small icon={X} label="Clear selection" onClick={() => onChange(new Set())} />
    </div>
  );
}

/** How many are shown, and the next ones. */
export function Pager({
  has,
  load,
  shown,
  total,
}: {
  readonly has: boolean;
  readonly load: Action;
  readonly shown: number;
  readonly total?: number | undefined;
}) {
  const count =
    total === undefined ? `${formatNumber(shown)} shown` : `${formatNumber(shown)} of ${formatNumber(total)}`;
  if (!has && total === undefined) return null;
  return (
    <div class="pager">
      <span class="muted tiny num">{count}</span>
      {has && (
        <Button small onClick={load}>
          Load more
        </Button>
      )}
    </div>
  );
}
