"""What was checked, one line each."""


class Report:
    passed = 0
    failed = 0

    @classmethod
    def check(cls, what: str, holds, detail="") -> None:
        if holds:
            cls.passed += 1
            print(f"ok {what}", flush=True)
        else:
            cls.failed += 1
            print(f"FAILED {what} {detail}", flush=True)


check = Report.check
