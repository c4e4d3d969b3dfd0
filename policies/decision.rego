# How the policies of a set decide together: any deny denies, otherwise one allow permits, and the smallest lifetime
# wins. A login needs no allow. A value of the wrong type counts for nothing but failure.
#
# Every step_up is passed on. Whether a person approved is not known here, so that it cannot be asked for here either: the
# platform holds what is permitted until each is approved.
#
# `said` is generated for each set: per policy that applies, what its rules hold, each as a list that is empty where the
# rule is undefined.
package caracal.decision

result := {
	"permit": permit,
	"wrong_types": wrong_types,
	"denials": denials,
	"allowed_by": allowed_by,
	"step_ups": step_ups,
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

step_ups contains {"policy": policy, "requirement": requirement} if {
	some policy
	some requirement in step_up_sets[policy]
	is_requirement(requirement)
}

step_up_sets[policy] := requirements if {
	some policy
	requirements := said[policy].step_up[_]
	is_set(requirements)
}

is_requirement(value) if {
	is_object(value)
	object.keys(value) - {"tier", "approver", "ttl_seconds", "reason"} == set()
	is_tier(value.tier)
	value.approver in {"operator", "subject", "any"}
	is_ttl(object.get(value, "ttl_seconds", 1))
	is_string(object.get(value, "reason", ""))
}

# ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$ of at most 64: without a regular expression, which would be in every program.
is_tier(value) if {
	is_string(value)
	value != ""
	count(value) <= 64
	trim(value, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	not startswith(value, "-")
	not endswith(value, "-")
}

is_ttl(value) if {
	is_number(value)
	value >= 1
	value <= 86400
	floor(value) == value
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

wrong_types contains sprintf("%s: step_up is no set of requirements", [policy]) if {
	some policy
	count(said[policy].step_up) > 0
	not is_set(said[policy].step_up[0])
}

wrong_types contains sprintf("%s: step_up is no set of requirements", [policy]) if {
	some policy
	some requirement in step_up_sets[policy]
	not is_requirement(requirement)
}
