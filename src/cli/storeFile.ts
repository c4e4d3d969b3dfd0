/** Where in a data folder the store is: for the roles that write it and the command that reads it. */

export const STORE_FILE = 'store.db';
