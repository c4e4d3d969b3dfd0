/** Memory of pure functions by object reference: a changed object is a new reference, an unchanged one costs a look-up. */

/** `derive` must depend on its argument alone. */
export function perObject<T extends object, R>(derive: (object: T) => R): (object: T) => R {
  const known = new WeakMap<T, { readonly value: R }>();
  return (object) => {
    const found = known.get(object);
    if (found) return found.value;
    const value = derive(object);
    known.set(object, { value });
    return value;
  };
}
