/** Where the data folder is, and in it the store: for the roles that write it and the commands that read it. */

export const DEFAULT_DATA = '.caracal';
export const STORE_FILE = 'store.db';
