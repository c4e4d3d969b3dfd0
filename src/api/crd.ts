/** A kind as a CustomResourceDefinition. */
import { AGE_COLUMN, type KindDefinition, type PrinterColumn } from './kind.ts';
import { GROUP, VERSION } from './meta.ts';
import { toObjectSchema } from './openAPISchema.ts';

export function toCRD(kind: KindDefinition): Readonly<Record<string, unknown>> {
  const { plural, singular, shortNames } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: { 'app.kubernetes.io/name': 'caracal' } },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular,
        shortNames,
        categories: ['caracal'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...kind.printerColumns, AGE_COLUMN].map(toColumn),
          ...(kind.selectableFields.length > 0 && {
            selectableFields: kind.selectableFields.map((jsonPath) => ({ jsonPath })),
          }),
          schema: { openAPIV3Schema: toObjectSchema(kind) },
        },
      ],
    },
  };
}

function toColumn({ name, jsonPath, type, description, priority }: PrinterColumn) {
  return { name, type, description, jsonPath, ...(priority && { priority }) };
}
