/** A certificate for the name localhost and nothing else, its own authority: trusted only where a test says so. */

export const localhostCertificate = `-----BEGIN CERTIFICATE-----
MIIBXjCCAQSgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTEyMzEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIq7xdMLceI6kOk9
SOJUI8YKXDz9hFTQsEt3vA0QNIJ5CFvNHqBdj/t9MqhoJsUYgcNdmnerXsFq0CHN
JyS7B7ajRTBDMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAMBgNVHRMEBTADAQH/MB0G
A1UdDgQWBBQ+IriAVbX6nMwHjjA/NfvqgKduKzAKBggqhkjOPQQDAgNIADBFAiEA
4cHLagZP61kusVx0WiTCy9tFUAcXT1xSdlvgDrfFT9YCICgvnH/aWu8m0nxcLKfS
CJX+hJ4EKGj3BTDCLtQnFP4/
-----END CERTIFICATE-----
`;

/** Protects nothing: it exists to be presented by servers of tests. */
export const localhostKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggXXcFedMuY5gNVyk
kdyJ/LVpv0hesaHmSE9kQewnnryhRANCAASKu8XTC3HiOpDpPUjiVCPGClw8/YRU
0LBLd7wNEDSCeQhbzR6gXY/7fTKoaCbFGIHDXZp3q17BatAhzSckuwe2
-----END PRIVATE KEY-----
`;

/** The same name by another key: what a certificate is renewed to. */
export const renewedCertificate = `-----BEGIN CERTIFICATE-----
MIIBXjCCAQSgAwIBAgIBAjAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTEyMzEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBngyrziJehBJ+Di
vP0qElUVFULYVkFhTlPj2GhxVzudBVVEMqfVaMnHFk3dtY3mjZshq8wbmyWK63Pf
jDm7eVmjRTBDMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAMBgNVHRMEBTADAQH/MB0G
A1UdDgQWBBSISWmoGJYhn+cUGwL91yxM+QN1jzAKBggqhkjOPQQDAgNIADBFAiAV
B119ARwQNB/hqrWUb577t/aeDLlHwMfgMpHbrqcGxQIhAJ20qBQKmufBcJEyLOYX
owXr686SjnP7GJe+f+FP9MXQ
-----END CERTIFICATE-----
`;

/** Protects nothing either. */
export const renewedKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRdbEM0aFU4BqkjHQ
CX6wruxuxjCAOEIyRsmT4ax4FWShRANCAAQZ4Mq84iXoQSfg4rz9KhJVFRVC2FZB
YU5T49hocVc7nQVVRDKn1WjJxxZN3bWN5o2bIavMG5sliutz34w5u3lZ
-----END PRIVATE KEY-----
`;
