import type { ReadonlySignal } from "@preact/signals";
import type { IconNode } from "lucide";
import type { ComponentType } from "preact";

/** What a page component is given. */
export interface PageProps {
  /** Parameters of the path, such as `id`. */
  readonly params: Readonly<Record<string, string>>;
}

export interface PageRoute {
  /** Below the console, such as `/rules/:id`. */
  readonly path: string;
  /** The window's title. */
  readonly title: string;
  readonly load: () => Promise<{ default: ComponentType<PageProps> }>;
  /** Users without it see that they may not open the page. */
  readonly permission?: string;
  /** A role in a project that has the permission opens the page, too. */
  readonly within?: "project";
}

/** An entry of the navigation. */
export interface NavItem {
  readonly label: string;
  readonly path: string;
  readonly icon: IconNode;
  readonly group: "main" | "respond" | "operate" | "administer";
  readonly permission?: string;
  /** As for {@link PageRoute}. */
  readonly within?: "project";
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
  /** What kind of thing it is, such as "Rule". */
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
