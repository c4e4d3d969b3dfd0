# How the policies of a set decide together: any deny denies, otherwise one allow permits, and the smallest lifetime
# wins. A login needs no allow. A value of the wrong type counts for nothing but failure.
#
# `said` is generated for each set: per policy that applies, what its rules hold, each as a list that is empty where the
# rule is undefined.
package caracal.decision

result := {
	"permit": permit,
	"wrong_types": wrong_types,
	"denials": denials,
	"allowed_by": allowed_by,
	"max_ttl_seconds": max_ttl_seconds,
}

default permit := false

permit if {
	count(wrong_types) == 0
	count(denials) == 0
	permitted
}

permitted if count(allowed_by) > 0

permitted if input.action.name == "session"

allowed_by contains policy if {
	some policy
	said[policy].allow[_] == true
}

denials contains {"policy": policy, "reason": reason} if {
	some policy
	some reason in deny_sets[policy]
	is_string(reason)
}

# deny is taken only from real sets, so that a mere list or object is a wrong type and no reason.
deny_sets[policy] := reasons if {
	some policy
	reasons := said[policy].deny[_]
	is_set(reasons)
}

lifetimes contains seconds if {
	some policy
	seconds := said[policy].max_ttl_seconds[_]
	is_number(seconds)
}

# null: no policy says anything.
default max_ttl_seconds := null

max_ttl_seconds := min(lifetimes) if count(lifetimes) > 0

wrong_types contains sprintf("%s: allow is no boolean", [policy]) if {
	some policy
	not is_boolean(said[policy].allow[0])
	count(said[policy].allow) > 0
}

wrong_types contains sprintf("%s: deny is no set of strings", [policy]) if {
	some policy
	count(said[policy].deny) > 0
	not is_set(said[policy].deny[0])
}

wrong_types contains sprintf("%s: deny is no set of strings", [policy]) if {
	some policy
	some reason in deny_sets[policy]
	not is_string(reason)
}

wrong_types contains sprintf("%s: max_ttl_seconds is no number", [policy]) if {
	some policy
	count(said[policy].max_ttl_seconds) > 0
	not is_number(said[policy].max_ttl_seconds[0])
}
