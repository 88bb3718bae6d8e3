import type { ReadonlySignal } from "@preact/signals";
import type { IconNode } from "lucide";
import type { ComponentType } from "preact";

/** Props of a page component. */
export interface PageProps {
  /** Parameters of the path, such as `id`. */
  readonly params: Readonly<Record<string, string>>;
}

/** Who may open a page. */
interface Access {
  /** Users without it see that they may not open the page. */
  readonly permission?: string;
  /** A role in a project that has the permission opens the page, too. */
  readonly within?: "project";
}

export interface PageRoute extends Access {
  /** Below the console, such as `/rules/:id`. */
  readonly path: string;
  readonly load: () => Promise<{ default: ComponentType<PageProps> }>;
}

/** An entry of the navigation. */
export interface NavItem extends Access {
  readonly label: string;
  readonly path: string;
  readonly icon: IconNode;
  readonly group: "main" | "watch" | "build" | "operate" | "administer";
  /** The key that opens the page after `g`. */
  readonly shortcut?: string;
  /** A number beside the label; 0 is not shown. */
  readonly badge?: ReadonlySignal<number>;
  /** Place in the bar at the bottom of a phone's screen, which has the first four that the user may open. */
  readonly tab?: number;
}

/** A result of the command palette. */
export interface PaletteEntry {
  readonly label: string;
  /** Kind of entry, such as "Rule". */
  readonly kind: string;
  readonly detail?: string;
  readonly icon?: IconNode;
  /** A path of the console, or work to do. */
  readonly run: string | (() => void | Promise<void>);
}

/**
 * A group of pages. Each folder of `pages/` exports one and is listed in `pages/index.ts`; no other
 * file of the console names it.
 */
export interface PageModule {
  readonly routes: readonly PageRoute[];
  readonly nav?: readonly NavItem[];
  /** Finds entries of the palette on the server. */
  readonly search?: (text: string) => Promise<readonly PaletteEntry[]>;
  /** Actions of the palette that need no search. */
  readonly actions?: readonly (PaletteEntry & { readonly permission?: string })[];
}

/** A page and its entry of the navigation; without an access of its own it has that of the page. */
interface PageEntry<K> extends Access {
  /** The name with which the file exports the page. */
  readonly page: K;
  readonly nav?: Omit<NavItem, "path">;
}

/** Access for users who have the permission, in general or in a project. */
export function inProject(permission: string) {
  return { permission, within: "project" } as const;
}

/**
 * The routes and the navigation of pages, by path.
 * @param load the file of the pages, at the first visit: one for all compresses better than one for each
 */
export function pagesOf<P extends { readonly [K in keyof P]: ComponentType<PageProps> }>(
  load: () => Promise<P>,
  entries: Readonly<Record<string, PageEntry<keyof P>>>,
): Pick<PageModule, "routes" | "nav"> {
  const pages = Object.entries(entries);
  return {
    routes: pages.map(([path, { page, nav: _, ...access }]) => ({
      ...access,
      path,
      load: async () => ({ default: (await load())[page] }),
    })),
    nav: pages.flatMap(([path, { page: _, nav, ...access }]) => (nav ? [{ ...access, ...nav, path }] : [])),
  };
}
