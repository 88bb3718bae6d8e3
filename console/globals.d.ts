/** Whether the gallery of components is built in. */
declare const DEVELOPMENT: boolean;

declare module "*.css" {}
